"""The oracle does what these tests say, so a difference from it is ours.

Tiny random checkpoints, every case; no weights, no network.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import (
    BASE_CASES,
    CASES,
    Case,
    Official,
    load_official,
    official_probabilities,
    official_processors,
    official_scores,
    reference_values,
)
from tiny import EDGE_VOICE, LANGUAGES

EOS, VOCAB, CODES = 2150, 3072, 2048
SUPPRESS = [code for code in range(CODES, VOCAB) if code != EOS]
TALKER = {"repetition_penalty": 1.05, "suppress": SUPPRESS, "eos": EOS}

PLAIN = Case("custom_voice", "same", "Hello there.", "ryan", "english")
STREAMED = Case("custom_voice", "narrow", "Hello there.", "ryan", "auto", "Sadly.", False)

Loader = Callable[[Case], Official]


@pytest.fixture(scope="module")
def official(tiny_checkpoint: Callable[..., Path]) -> Loader:
    loaded: dict[tuple[str, str], Official] = {}

    def load(case: Case) -> Official:
        key = (case.kind, case.predictor)
        if key not in loaded:
            loaded[key] = load_official(tiny_checkpoint(*key))
        return loaded[key]

    return load


@pytest.mark.parametrize("case", CASES + BASE_CASES, ids=str)
def test_prompt_lengths_follow_the_formulas(official: Loader, case: Case) -> None:
    """I + 3 + P + the tail of the layout, for every case."""
    oracle = official(case)
    prompt = oracle.prompt(case)
    text = len(prompt.input_ids) - 8
    instruct = len(prompt.instruct_ids or [])
    speaker = bool(case.speaker) or case.reference is not None
    dialect = (case.speaker or "").lower() in ("eric", "dylan")
    think = case.language.lower() != "auto" or dialect
    start = instruct + 3 + (5 if think else 4) + speaker

    if case.reference is not None and case.reference.text is not None:
        wrapped = f"<|im_start|>assistant\n{case.reference.text.strip()}<|im_end|>\n"
        words = text + len(oracle.wrapper.processor(text=wrapped)["input_ids"][0]) - 5 + 1
        sounds = case.reference.frames + 1
        rows = start + (words + sounds if case.non_streaming else sounds)
        text_rows = 1 if case.non_streaming else max(words - sounds, 1)
    elif case.non_streaming:
        rows, text_rows = start + text + 2, 1
    else:
        rows, text_rows = start + 1, text
    assert prompt.rows.shape == (rows, 128)
    assert prompt.text_rows.shape == (text_rows, 128)
    assert prompt.pad_row.shape == (128,)
    assert {prompt.rows.dtype, prompt.text_rows.dtype, prompt.pad_row.dtype} == {np.dtype("f4")}


def test_the_cases_cover_every_rule() -> None:
    kinds = {(case.kind, case.predictor) for case in CASES}
    assert len(CASES) >= 35
    assert kinds == {(k, p) for k in ("custom_voice", "voice_design") for p in ("same", "narrow")}
    languages = {case.language.lower() for case in CASES}
    assert languages == {"auto", *(name for name in LANGUAGES if "dialect" not in name)}
    assert len({str(case) for case in CASES + BASE_CASES}) == len(CASES + BASE_CASES)


class Tables:
    """Text and codec embeddings, straight from the official modules."""

    def __init__(self, oracle: Official) -> None:
        self.talker, self.config = oracle.talker, oracle.model.config

    @torch.no_grad()
    def te(self, *ids: int) -> torch.Tensor:
        return self.talker.text_projection(self.talker.get_text_embeddings()(torch.tensor(ids)))

    @torch.no_grad()
    def ce(self, *ids: int) -> torch.Tensor:
        return self.talker.get_input_embeddings()(torch.tensor(ids))

    @property
    def pad_bos_eos(self) -> tuple[int, int, int]:
        c = self.config
        return c.tts_pad_token_id, c.tts_bos_token_id, c.tts_eos_token_id


def assert_rows(rows: np.ndarray, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(rows, expected.numpy(), rtol=0, atol=5e-7)


def test_the_worked_example_holds(official: Loader) -> None:
    """Row by row: CustomVoice, english, Ryan, layout A."""
    prompt, t = official(PLAIN).prompt(PLAIN), Tables(official(PLAIN))
    pad, bos, eos = t.pad_bos_eos
    words = prompt.input_ids[3:-5]
    texts = [*prompt.input_ids[:3], *[pad] * 5, bos, *words, eos, pad]
    codes = [2154, 2156, 2050, 2157, 3061, 2148, *[2148] * (len(words) + 1), 2149]
    expected = t.te(*texts)
    expected[3:] += t.ce(*codes)
    assert_rows(prompt.rows, expected)
    assert_rows(prompt.text_rows, t.te(pad))
    assert_rows(prompt.pad_row[None], t.te(pad))


def test_the_streamed_layout_holds(official: Loader) -> None:
    """Row by row: auto, instruct, the text after its first id is left."""
    prompt, t = official(STREAMED).prompt(STREAMED), Tables(official(STREAMED))
    pad, bos, eos = t.pad_bos_eos
    words = prompt.input_ids[3:-5]
    assert prompt.instruct_ids is not None
    texts = [*prompt.instruct_ids, *prompt.input_ids[:3], *[pad] * 4, bos, words[0]]
    expected = t.te(*texts)
    expected[-6:] += t.ce(2155, 2156, 2157, 3061, 2148, 2149)
    assert_rows(prompt.rows, expected)
    assert_rows(prompt.text_rows, t.te(*words[1:], eos))


@pytest.mark.parametrize(
    ("speaker", "language", "codec"),
    [
        ("eric", "auto", [2154, 2156, 2062, 2157, 2875, 2148]),
        ("dylan", "chinese", [2154, 2156, 2074, 2157, 2878, 2148]),
        ("Eric", "English", [2154, 2156, 2050, 2157, 2875, 2148]),
        ("RYAN", "auto", [2155, 2156, 2157, 3061, 2148]),
        ("vivian", "chinese", [2154, 2156, 2055, 2157, 3065, 2148]),
        (None, "auto", [2155, 2156, 2157, 2148]),
    ],
)
def test_language_and_dialect_rules(
    official: Loader, speaker: str | None, language: str, codec: list[int]
) -> None:
    case = Case("custom_voice", "same", "Hello.", speaker, language)
    prompt, t = official(case).prompt(case), Tables(official(case))
    pad, bos, _ = t.pad_bos_eos
    expected = t.te(*[pad] * (len(codec) - 1), bos) + t.ce(*codec)
    assert_rows(prompt.rows[3 : 3 + len(codec)], expected)


def test_only_the_small_custom_voice_drops_the_instruction(official: Loader) -> None:
    for kind, predictor, kept in (
        ("custom_voice", "same", False),
        ("custom_voice", "narrow", True),
        ("voice_design", "same", True),
        ("voice_design", "narrow", True),
    ):
        case = Case(kind, predictor, "Hello.", None, "english", "Sadly.")
        assert (official(case).prompt(case).instruct_ids is not None) == kept


def test_a_clone_speaks_with_the_given_vector_and_codes(official: Loader) -> None:
    """Codec stream longer than the text stream: rows are t + c, padded."""
    case = BASE_CASES[4]
    assert case.reference is not None
    oracle = official(case)
    prompt, t = oracle.prompt(case), Tables(oracle)
    vector, codes = reference_values(case.reference, hidden_size=128, codebook_size=CODES)
    pad = t.pad_bos_eos[0]
    assert_rows(prompt.rows[6:7], t.te(pad) + torch.from_numpy(vector))
    books = oracle.talker.code_predictor.get_input_embeddings()
    with torch.no_grad():
        last = t.ce(int(codes[-1, 0])) + sum(
            books[k](torch.tensor([int(codes[-1, k + 1])])) for k in range(15)
        )
    np.testing.assert_allclose(prompt.rows[-1:], (t.te(pad) + last).numpy(), rtol=0, atol=5e-6)


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_without_end_of_speech_the_frames_asked_for_are_made(official: Loader, frames: int) -> None:
    """It speaks `max_new_tokens` - 1 frames."""
    oracle = official(PLAIN)
    with biased(oracle, -1e4):
        codes = oracle.codes(PLAIN, frames)
    assert codes.shape == (frames, 16)
    assert codes.dtype == np.int64
    assert codes.min() >= 0
    assert codes.max() < CODES


def test_a_forced_end_of_speech_gives_two_frames(official: Loader) -> None:
    """It is banned while fewer than two codes exist."""
    oracle = official(PLAIN)
    with biased(oracle, 1e4):
        assert oracle.codes(PLAIN, 9).shape == (2, 16)


@contextmanager
def biased(oracle: Official, amount: float) -> Iterator[None]:
    """Add to the logit of end of speech."""

    def add(_module: Any, _inputs: Any, logits: torch.Tensor) -> torch.Tensor:
        logits = logits.clone()
        logits[..., EOS] += amount
        return logits

    hook = oracle.talker.codec_head.register_forward_hook(add)
    try:
        yield
    finally:
        hook.remove()


@pytest.mark.parametrize("case", [PLAIN, STREAMED], ids=str)
def test_teacher_forcing_its_own_greedy_codes_agrees(official: Loader, case: Case) -> None:
    oracle = official(case)
    codes = oracle.codes(case, 6)
    talker, predictor = oracle.teacher_forced(case, codes)
    assert talker.shape == (6, VOCAB)
    assert predictor.shape == (6, 15, CODES)
    for t in range(6):
        scores = official_scores(talker[t], codes[:t, 0].tolist(), t, do_sample=False, **TALKER)
        assert scores.argmax() == codes[t, 0]
    assert (predictor.argmax(-1) == codes[:, 1:]).all()


def test_teacher_forcing_feeds_the_given_codes_and_nothing_later(official: Loader) -> None:
    oracle, draw = official(PLAIN), np.random.default_rng(5)
    codes = draw.integers(0, CODES, (5, 16))
    changed = codes.copy()
    changed[3, 9] = (changed[3, 9] + 1) % CODES
    talker, predictor = oracle.teacher_forced(PLAIN, codes)
    talker2, predictor2 = oracle.teacher_forced(PLAIN, changed)
    assert (talker[:4] == talker2[:4]).all()
    assert (talker[4] != talker2[4]).any()
    assert (predictor[:3] == predictor2[:3]).all()
    assert (predictor[3, :9] == predictor2[3, :9]).all()
    assert (predictor[3, 9:] != predictor2[3, 9:]).any(axis=-1).all()


def test_listening_leaves_the_model_as_it_was(official: Loader) -> None:
    oracle = official(PLAIN)
    before = oracle.codes(PLAIN, 4)
    oracle.prompt(PLAIN)
    oracle.teacher_forced(PLAIN, before)
    oracle.live_processors(PLAIN)
    state = torch.get_rng_state()
    oracle.codes(PLAIN, 2, do_sample=True, subtalker_dosample=True, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    assert (oracle.codes(PLAIN, 4) == before).all()
    assert "generate" not in vars(oracle.talker)


def test_masks_by_broadcasting_are_those_of_the_package(
    official: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any rule, at the beginning and later, with rows of a batch that are padded or not."""
    official(PLAIN)  # which sees to it
    from oracle import masks

    transformers = masks.masking_utils
    assert transformers._vmap_for_bhqkv is masks.by_broadcasting
    rules = [
        transformers.causal_mask_function,
        transformers.sliding_window_causal_mask_function(3),
        transformers.chunked_causal_mask_function(4, torch.tensor([0, 2])),
    ]
    padded = torch.tensor([[True] * 9, [False] * 2 + [True] * 7])

    def mask(way: Callable[..., Any], *given: Any) -> torch.Tensor:
        monkeypatch.setattr(transformers, "_vmap_for_bhqkv", way)
        return transformers.sdpa_mask(2, *given, allow_is_causal_skip=False)

    for rule, padding, first in itertools.product(rules, (None, padded), (0, 8)):
        given = (torch.arange(first, 9), 9, 0, rule, padding)
        assert torch.equal(mask(masks.by_broadcasting, *given), mask(masks.by_vmap, *given))


def test_sampled_runs_repeat_with_their_seed(official: Loader) -> None:
    oracle, sampled = official(PLAIN), {"do_sample": True, "subtalker_dosample": True}
    first = oracle.codes(PLAIN, 4, seed=1, **sampled)
    assert (first == oracle.codes(PLAIN, 4, seed=1, **sampled)).all()
    assert (first != oracle.codes(PLAIN, 4, seed=2, **sampled)).any()


@pytest.mark.parametrize("do_sample", [False, True])
@pytest.mark.parametrize("subtalker_dosample", [False, True])
@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "penalty"),
    [(0.9, 50, 1.0, 1.05), (0.6, 0, 0.8, 1.05), (1.0, 5, 1.0, 1.0), (1.0, 0, 0.5, 1.3)],
)
def test_our_processors_are_those_of_a_live_run(
    official: Loader,
    do_sample: bool,
    subtalker_dosample: bool,
    temperature: float,
    top_k: int,
    top_p: float,
    penalty: float,
) -> None:
    """Classes, order and numbers of both lists."""
    shape = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    live = official(PLAIN).live_processors(
        PLAIN,
        do_sample=do_sample,
        subtalker_dosample=subtalker_dosample,
        repetition_penalty=penalty,
        **shape,
        **{f"subtalker_{name}": value for name, value in shape.items()},
    )
    talker = official_processors(
        do_sample=do_sample, **shape, **{**TALKER, "repetition_penalty": penalty}
    )
    predictor = official_processors(do_sample=subtalker_dosample, **shape)
    assert [described(each) for each in live[0]] == [described(each) for each in talker]
    assert [described(each) for each in live[1]] == [described(each) for each in predictor]


def described(processor: Any) -> tuple[str, dict[str, Any]]:
    values = {
        name: value.tolist() if isinstance(value, torch.Tensor) else value
        for name, value in vars(processor).items()
    }
    return type(processor).__name__, values


def test_the_defaults_of_a_checkpoint_reach_the_processors() -> None:
    """The bundled voice asks for 0.5 and 0.4; the suppressed ids are the last 1024 but one."""
    case = Case("custom_voice", "same", "Hello.", "heart", "english")
    live = load_official(EDGE_VOICE).live_processors(
        case, do_sample=True, subtalker_dosample=True, repetition_penalty=None
    )
    suppress = [code for code in range(256, 1280) if code != 258]
    talker = official_processors(
        temperature=0.5, repetition_penalty=1.0, suppress=suppress, eos=258
    )
    predictor = official_processors(temperature=0.4)
    assert [described(each) for each in live[0]] == [described(each) for each in talker]
    assert [described(each) for each in live[1]] == [described(each) for each in predictor]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    step=st.integers(0, 5),
    temperature=st.floats(0.1, 2.0),
    top_k=st.integers(0, 80),
    top_p=st.floats(0.05, 1.0),
)
def test_probabilities_are_what_spec_5_3_says(
    seed: int, step: int, temperature: float, top_k: int, top_p: float
) -> None:
    """A second writing of the rules in float64; ties and borders are left to the official one."""
    draw = np.random.default_rng(seed)
    logits = (draw.standard_normal(VOCAB) * 4).astype(np.float32)
    seen = draw.integers(0, CODES, step).tolist()
    found = official_probabilities(
        logits, seen, step, temperature=temperature, top_k=top_k, top_p=top_p, **TALKER
    )
    assert found.dtype == np.float32
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert not found[SUPPRESS].any()
    assert step >= 2 or not found[EOS]

    scores = logits.astype(np.float64)
    for code in set(seen):
        scores[code] *= 1.05 if scores[code] < 0 else 1 / 1.05
    scores[SUPPRESS] = -np.inf
    if step < 2:
        scores[EOS] = -np.inf
    scores /= temperature
    if top_k:
        scores[scores < np.sort(scores)[-top_k]] = -np.inf
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    if top_p < 1:
        order = np.argsort(weights)
        dropped = order[:-1][np.cumsum(weights[order])[:-1] <= 1 - top_p]
        border = np.abs(np.cumsum(weights[order]) - (1 - top_p)).min()
        if border < 1e-5:
            return
        weights[dropped] = 0
        weights /= weights.sum()
    np.testing.assert_allclose(found, weights, rtol=2e-4, atol=1e-6)


def test_seen_codes_cannot_outnumber_the_steps() -> None:
    with pytest.raises(ValueError, match="2 distinct codes cannot come from 1 steps"):
        official_scores(np.zeros(VOCAB), [1, 2], 1, **TALKER)


def test_decoding_in_one_go_and_in_chunks_agree_until_a_chunk_ends(official: Loader) -> None:
    """300 frames are one chunk; the next one starts cold."""
    oracle = official(PLAIN)
    codes = np.random.default_rng(1).integers(0, CODES, (301, 16))
    codes[::7, 0] = 0
    whole, chunked = oracle.decode(codes), oracle.decode_chunked(codes)
    assert whole.shape == chunked.shape == (301 * 1920,)
    assert whole.dtype == np.float32
    assert np.abs(whole).max() <= 1
    np.testing.assert_allclose(whole[: 300 * 1920], chunked[: 300 * 1920], rtol=0, atol=1e-5)
    assert np.abs(whole[300 * 1920 :] - chunked[300 * 1920 :]).max() > 1e-5
