"""Rung 0: our torch modules compute what the official ones compute, on the same weights."""

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from oracle import Case
from oracle.answers import AskedOnce
from parity.forced import Modules, empty_codec_state
from parity.tolerances import assert_close
from qwen3_tts_edge.bundle.manifest import SamplingDefaults
from qwen3_tts_edge.speech.prompt import Prompt
from qwen3_tts_edge.speech.sampling import MIN_FRAMES, Sampling, inputs
from qwen3_tts_export.modules.codec_weights import codec_decoder_weights
from qwen3_tts_export.modules.frame import frame_weights
from qwen3_tts_export.modules.talker import text_rows
from tiny import EDGE_VOICE

Judge = Callable[[Path], AskedOnce]

SAME = Case("custom_voice", "same", "Hello there, my friend.", "ryan", "english")
STREAMED = Case("custom_voice", "narrow", "Hello there.", "eric", "auto", "Sadly.", False)
DESIGNED = Case("voice_design", "narrow", "Hello.", None, "german", "A calm old man, very low.")
VOICED = Case("custom_voice", "same", "Set a timer.", "heart", "english", None, False)
CASES = {"same": SAME, "narrow": STREAMED, "design": DESIGNED, "edge-voice": VOICED}


@pytest.fixture(scope="module")
def folder(tiny_checkpoint: Callable[..., Path], one_thread: None) -> Callable[[Case], Path]:
    def find(case: Case) -> Path:
        return EDGE_VOICE if case is VOICED else tiny_checkpoint(case.kind, case.predictor)

    return find


@pytest.fixture(scope="module")
def modules() -> Callable[[Path], Modules]:
    return functools.cache(Modules)


def official_prompt(oracle: AskedOnce, case: Case) -> Prompt:
    found = oracle.prompt(case)
    return Prompt(found.rows, [*found.text_rows], found.pad_row, opening=0)


def random_codes(size: int, frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, size, (frames, 16))


@pytest.mark.parametrize("name", CASES)
def test_talker_and_predictor_say_what_the_official_ones_say(
    judge: Judge, modules: Callable, folder: Callable, name: str
) -> None:
    """All logits and hidden states of 12 frames of given, random codes."""
    case = CASES[name]
    oracle, ours = judge(folder(case)), modules(folder(case))
    codes = random_codes(ours.config.predictor.vocab_size, 12)
    hidden: list[np.ndarray] = []
    hook = oracle.live.talker.model.register_forward_hook(
        lambda _module, _inputs, out: hidden.append(out.last_hidden_state[0, -1].numpy())
    )
    try:
        talker, predictor = oracle.live.teacher_forced(case, codes)
    finally:
        hook.remove()
    forced = ours.force(official_prompt(oracle, case), codes)
    assert talker.shape == (12, ours.config.talker.vocab_size)
    assert predictor.shape == (12, 15, ours.config.predictor.vocab_size)
    assert_close("modules.hidden", forced.hidden, np.stack(hidden[:12]), name)
    assert_close("modules.logits", forced.talker, talker, f"{name} talker")
    assert_close("modules.logits", forced.predictor, predictor, f"{name} predictor")
    assert np.ptp(talker, axis=1).min() > 5  # a flat reference would agree with anything
    assert np.ptp(predictor, axis=2).min() > 3


@pytest.mark.parametrize("penalty", [1.05, 2.0])
@pytest.mark.parametrize("name", CASES)
def test_the_frame_chooses_the_codes_of_official_generate(
    judge: Judge, modules: Callable, folder: Callable, name: str, penalty: float
) -> None:
    """Greedy, talker, predictor and sampling as one module, state handed from frame to frame."""
    case = CASES[name]
    oracle, ours = judge(folder(case)), modules(folder(case))
    expected = oracle.codes(case, 8, repetition_penalty=penalty)
    prompt, frame = official_prompt(oracle, case), ours.frame()
    generation = ours.config.generation
    asked = {key: getattr(generation, key) for key in SamplingDefaults.__struct_fields__}
    defaults = SamplingDefaults(**{**asked, "repetition_penalty": penalty})
    sizes = (ours.config.talker.vocab_size, ours.config.predictor.vocab_size)
    given = inputs(Sampling.greedy().over(defaults), *sizes)
    settings = {key: torch.from_numpy(value) for key, value in given.items()}
    seen = torch.zeros(1, ours.config.talker.vocab_size, dtype=torch.bool)
    past = [torch.zeros(1, 1, ours.config.talker.hidden_size), seen]
    past += [part for pair in ours.cache(len(prompt.rows) + 8) for part in pair]
    rows, position, codes = torch.from_numpy(prompt.rows)[None], 0, []
    for t in range(8):
        with torch.inference_mode():
            said, past = frame(
                rows,
                torch.tensor([rows.shape[1]]),
                torch.tensor([position]),
                torch.zeros(1, 16),
                torch.tensor([t >= MIN_FRAMES]),
                **settings,
                talker_ranks=torch.arange(1),
                predictor_ranks=torch.arange(1),
                total=torch.tensor([position + rows.shape[1]], dtype=torch.int32),
                past=past,
            )
        if said[0, 0] == ours.config.talker.codec_eos_id:
            break
        codes.append(said[0].numpy())
        position += rows.shape[1]
        rows = torch.from_numpy(prompt.text_row(t))[None]
    assert np.array_equal(np.stack(codes), expected)


def test_the_talker_reads_a_prompt_in_pieces_as_in_one(modules: Callable, folder: Callable) -> None:
    ours = modules(folder(STREAMED))
    rows = torch.randn(1, 9, 128, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole, hidden, _ = ours.talker(rows, torch.tensor([9]), torch.tensor([0]), ours.cache(12))
        cache, at = ours.cache(12), 0
        for size in (4, 1, 3, 1):
            piece = rows[:, at : at + size]
            logits, last, cache = ours.talker(
                piece, torch.tensor([size]), torch.tensor([at]), cache
            )
            at += size
    assert_close("modules.logits", logits.numpy(), whole.numpy())
    assert_close("modules.hidden", last.numpy(), hidden.numpy())


def test_rows_beyond_the_length_change_nothing(modules: Callable, folder: Callable) -> None:
    """A batch row shorter than the batch: padding is overwritten before anything sees it."""
    ours = modules(folder(STREAMED))
    rows = torch.randn(1, 6, 128, generator=torch.Generator().manual_seed(2))
    padded = torch.cat((rows[:, :5], torch.full((1, 3, 128), 9.0)), dim=1)
    five, zero = torch.tensor([5]), torch.tensor([0])
    with torch.inference_mode():
        short, _, cache = ours.talker(rows[:, :5], five, zero, ours.cache(8))
        long, _, padded_cache = ours.talker(padded, five, zero, ours.cache(8))
        one = torch.tensor([1])
        after, _, _ = ours.talker(rows[:, 5:], one, five, cache)
        padded_after, _, _ = ours.talker(rows[:, 5:], one, five, padded_cache)
    assert_close("modules.logits", long.numpy(), short.numpy())
    assert_close("modules.logits", padded_after.numpy(), after.numpy())


@pytest.mark.parametrize("name", ["same", "narrow", "edge-voice"])
def test_text_rows_are_the_official_projection_of_every_id(
    judge: Judge, modules: Callable, folder: Callable, name: str
) -> None:
    case = CASES[name]
    talker, ours = judge(folder(case)).live.talker, modules(folder(case))
    ids = torch.arange(ours.config.talker.text_vocab_size)
    with torch.inference_mode():
        expected = talker.text_projection(talker.get_text_embeddings()(ids)).numpy()
        found = text_rows(ours.checkpoint.talker, ids).numpy()
    assert_close("modules.text_rows", found, expected, name)


CHUNKINGS = {
    "one shot": [150],
    "one by one": [1] * 150,
    "ramp": [1, 2, 4, *[8] * 17, 7],
    "around the window": [71, 1, 1, 72, 5],
    "longer than the window": [3, 90, 57],
}


@pytest.mark.parametrize(
    ("name", "chunking"),
    [("same", "around the window"), *(("edge-voice", each) for each in CHUNKINGS)],
)
def test_the_codec_decodes_as_the_official_full_decode_in_any_chunking(
    judge: Judge,
    modules: Callable,
    folder: Callable,
    spoken_codes: np.ndarray,
    name: str,
    chunking: str,
) -> None:
    """150 frames: twice the attention window of 72."""
    case, sizes = CASES[name], CHUNKINGS[chunking]
    ours = modules(folder(case))
    assert sum(sizes) == 150
    codes = random_codes(ours.config.codec.codebook_size, 150, seed=3)
    if name == "edge-voice":
        codes = spoken_codes[:150]
    expected = judge(folder(case)).decode(codes)
    assert np.abs(expected).max() > 0.05
    codec, state = ours.codec(), empty_codec_state(ours.config.codec)
    pieces, at = [], 0
    with torch.inference_mode():
        for size in sizes:
            chunk = torch.from_numpy(codes[at : at + size])[None]
            samples, state = codec(chunk, torch.tensor([at]), state)
            pieces.append(samples[0].numpy())
            at += size
    assert_close("modules.samples", np.concatenate(pieces), expected, f"{name}, {chunking}")


class Noted(Mapping[str, Tensor]):
    """A mapping that remembers what was read."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors, self.read = tensors, set[str]()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


@pytest.mark.parametrize("name", ["same", "narrow", "edge-voice"])
def test_no_official_tensor_is_left_unread(modules: Callable, folder: Callable, name: str) -> None:
    """What is left is what a bundle has elsewhere, or what decoding never uses."""
    ours = modules(folder(CASES[name]))
    talker, codec = Noted(ours.checkpoint.talker), Noted(ours.checkpoint.codec)
    for make in frame_weights(talker, ours.config, 8).values():
        make()
    text_rows(talker, torch.arange(2))
    for make in codec_decoder_weights(codec, ours.config.codec).values():
        make()
    assert set(talker) - talker.read == set()
    unread = {name for name in set(codec) - codec.read if not name.startswith("encoder.")}
    assert unread == {
        f"decoder.quantizer.{books}.input_proj.weight" for books in ("rvq_first", "rvq_rest")
    }
