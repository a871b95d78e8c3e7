"""Sampling: a seed means the same speech, and codes come as often as the official ones do.

The draw is an input of the graph, so the distribution needs no luck: a code must be chosen for
exactly those draws that lie in its part of the official cumulative distribution.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from onnxscript import ir
from scipy import stats
from torch import Tensor, nn

from oracle import Case, Official, official_probabilities, official_scores
from parity.tolerances import LADDER, note
from qwen3_tts_edge import Sampling, Synthesizer, Voice
from qwen3_tts_edge.manifest import FRAME, TOKENIZER, Manifest, StateSpec, TensorSpec
from qwen3_tts_edge.prompt import Prompt, PromptBuilder
from qwen3_tts_edge.sampling import MIN_FRAMES, draws, ranks
from qwen3_tts_edge.tokenizer import Tokenizer
from qwen3_tts_export.graphs import Graph
from qwen3_tts_export.modules.frame import RESERVED
from qwen3_tts_export.modules.sampling import sample
from qwen3_tts_export.trace import trace
from tiny import EDGE_VOICE

Judge = Callable[[Path], Official]
Sampler = Callable[..., np.ndarray]

VOICED = Case("custom_voice", "same", "Set a timer.", "heart", "english", None, False)

SETTINGS: dict[str, dict[str, Any]] = {
    "the defaults": {"temperature": 0.9, "top_k": 50, "top_p": 1.0},
    "every code": {"temperature": 1.0, "top_k": 0, "top_p": 1.0},
    "a nucleus": {"temperature": 1.0, "top_k": 0, "top_p": 0.8},
    "a nucleus of fifty": {"temperature": 1.4, "top_k": 50, "top_p": 0.5},
    "a crumb": {"temperature": 0.9, "top_k": 50, "top_p": 0.01},
    "cold": {"temperature": 0.3, "top_k": 0, "top_p": 0.95},
    "hot": {"temperature": 2.0, "top_k": 7, "top_p": 1.0},
    "greedy": {"do_sample": False},
}


# the draws


def test_a_draw_depends_on_seed_frame_and_codebook_only() -> None:
    table = {(s, f): draws(s, f, 16) for s in (0, 1, 2**64 - 1) for f in (2, 0, 700, 1)}
    for (seed, frame), row in reversed(table.items()):
        assert np.array_equal(draws(seed, frame, 16), row)
        assert np.array_equal(draws(seed, frame, 4), row[:4])
        assert row.dtype == np.float32
    numbers = np.concatenate(list(table.values()))
    assert len(np.unique(numbers)) == numbers.size


def test_the_draws_of_a_seed_never_change() -> None:
    """A golden: with other numbers every seed that somebody wrote down would speak otherwise."""
    golden = {0: [14630964, 4955408, 7048069], 1000: [3427436, 5259229, 448886]}
    for frame, bits in golden.items():
        assert (draws(7, frame, 3) * 2**24).astype(int).tolist() == bits


@pytest.mark.parametrize(
    ("top_k", "sizes"),
    [
        ([[1, 1]], (1, 1)),
        ([[50, 50]], (64, 64)),
        ([[2, 3], [64, 1]], (64, 4)),
        ([[65, 2048]], (128, 2048)),
        ([[3072, 5]], (3072, 8)),
    ],
)
def test_ranks_are_few_sizes_and_never_too_few(
    top_k: list[list[int]], sizes: tuple[int, int]
) -> None:
    found = ranks(np.array(top_k), 3072, 2048)
    for values, size in zip(found.values(), sizes, strict=True):
        assert np.array_equal(values, np.arange(size))
        assert values.dtype == np.int64
    assert list(found) == ["talker_ranks", "predictor_ranks"]


@pytest.mark.parametrize("along", ["frames", "codebooks", "seeds"])
def test_draws_are_uniform_and_independent(along: str) -> None:
    """Kolmogorov-Smirnov against the uniform distribution; neighbours do not know each other."""
    if along == "seeds":
        table = np.stack([draws(seed, 3, 16) for seed in range(4000)])
    else:
        table = np.stack([draws(11, frame, 16) for frame in range(4000)])
    assert table.min() >= 0
    assert table.max() < 1
    assert stats.kstest(table.ravel(), "uniform").pvalue > 1e-3
    columns = table if along == "codebooks" else table.T
    for row in columns[:16]:
        assert stats.kstest(row, "uniform").pvalue > 1e-4
    correlation = np.corrcoef(table, rowvar=False) - np.eye(16)
    assert np.abs(correlation).max() < 5 / np.sqrt(len(table))
    lagged = [np.corrcoef(table[1:, k], table[:-1, k])[0, 1] for k in range(16)]
    assert np.abs(lagged).max() < 5 / np.sqrt(len(table))


# one request


def test_a_seed_speaks_the_same_again_whatever_the_chunks(exact_voice_bundle: Path) -> None:
    tts = Synthesizer.open(exact_voice_bundle, threads=1, verify=False)
    asked = {"language": "english", "max_seconds": 2.0, "voice": Voice.speaker("heart")}
    first = tts.speak("Set a timer for ten minutes.", seed=5, **asked)
    assert first.seed == 5
    assert len(first.codes) > 10
    for chunks in ([1], [3], [100], [2, 5]):
        again = tts.speak("Set a timer for ten minutes.", seed=5, chunk_frames=chunks, **asked)
        assert np.array_equal(again.codes, first.codes)
    other = tts.speak("Set a timer for ten minutes.", seed=6, **asked)
    assert not np.array_equal(other.codes[:5], first.codes[:5])
    drawn = tts.speak("Set a timer for ten minutes.", **asked)
    again = tts.speak("Set a timer for ten minutes.", seed=drawn.seed, **asked)
    assert np.array_equal(again.codes, drawn.codes)


# the operation: in eager torch, and as the graph has it


class _Sample(nn.Module):
    def forward(
        self,
        scores: Tensor,
        draw: Tensor,
        temperature: Tensor,
        top_k: Tensor,
        top_p: Tensor,
        past: list[Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        return sample(scores, draw, temperature, top_k, top_p), [past[0] + draw]


class _Ranked(nn.Module):
    def forward(
        self,
        scores: Tensor,
        draw: Tensor,
        temperature: Tensor,
        top_k: Tensor,
        top_p: Tensor,
        ranks: Tensor,
        past: list[Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        return sample(scores, draw, temperature, top_k, top_p, ranks), [past[0] + draw]


def sampling_graph(vocabulary: int | str, *, ranked: bool) -> Graph:
    """The operation alone; a vocabulary with a name may be of any size."""

    def spec(name: str, dtype: str, *shape: int | str) -> TensorSpec:
        return TensorSpec(name=name, dtype=dtype, shape=shape)

    return Graph(
        name="sample",
        network=_Ranked if ranked else _Sample,
        weights={},
        inputs=(
            spec("scores", "float32", "batch", vocabulary),
            spec("draw", "float32", "batch"),
            spec("temperature", "float32", "batch"),
            spec("top_k", "int64", "batch"),
            spec("top_p", "float32", "batch"),
            *([spec("ranks", "int64", "talker_ranks")] if ranked else []),
        ),
        outputs=(spec("codes", "int64", "batch"),),
        # `trace` cannot do without a state.
        states=(StateSpec(past=spec("past", "float32", "batch"), present="present"),),
    )


@pytest.fixture(scope="module")
def lowered() -> Sampler:
    """The operation alone, traced as it is in the frame graph, for any vocabulary."""
    model = ir.to_proto(trace(sampling_graph("frames", ranked=True), "ort"))
    onnx.checker.check_model(model, full_check=True)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return functools.partial(chosen, session)


def chosen(session: ort.InferenceSession, *arrays: np.ndarray) -> np.ndarray:
    """What a graph of the operation chooses, of as few ranks as may be."""
    scores, draw, temperature, top_k, top_p = arrays
    given = {
        "scores": scores,
        "draw": draw,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "ranks": np.arange(top_k.max()),
        "past": np.zeros_like(draw),
    }
    return session.run(["codes"], {x.name: given[x.name] for x in session.get_inputs()})[0]


def eager(*arrays: np.ndarray) -> np.ndarray:
    return sample(*(torch.from_numpy(x) for x in arrays)).numpy()


@pytest.fixture(params=["eager", "lowered"])
def sampler(request: pytest.FixtureRequest) -> Sampler:
    return eager if request.param == "eager" else request.getfixturevalue("lowered")


def inputs(scores: np.ndarray, draw: np.ndarray, settings: dict[str, Any]) -> list[np.ndarray]:
    """The same scores and settings for every draw, by the rules of `Sampling.inputs`."""
    rows, vocab = len(draw), scores.shape[-1]
    greedy = not settings.get("do_sample", True)
    top_k = 1 if greedy else min(settings["top_k"] or vocab, vocab)
    return [
        np.broadcast_to(scores, (rows, vocab)).copy(),
        draw.astype(np.float32),
        np.full(rows, settings.get("temperature", 1.0), np.float32),
        np.full(rows, top_k, np.int64),
        np.full(rows, settings.get("top_p", 1.0), np.float32),
    ]


def distribution(logits: np.ndarray, seen: list[int], step: int, **settings: Any) -> np.ndarray:
    """The official distribution, float32 (vocab,); greedy, all of it is on the first maximum."""
    if settings.get("do_sample", True):
        return official_probabilities(logits, seen, step, **settings)
    scores = official_scores(logits, seen, step, **settings)
    return (np.arange(len(scores)) == scores.argmax()).astype(np.float32)


def assert_inverse_cdf(
    draw: np.ndarray, codes: np.ndarray, probability: np.ndarray, scores: np.ndarray, at: str
) -> None:
    """Every code was chosen by draws of its own part of the official distribution only.

    Args:
        draw: (n,).
        codes: (n,), chosen.
        probability: (vocab,), official.
        scores: (vocab,): codes stand in the order of these, ties by index.
        at: For the failure message.
    """
    order = np.argsort(-scores, kind="stable")
    upper = np.empty(len(order))
    upper[order] = np.cumsum(probability[order], dtype=np.float64) / probability.sum(dtype="f8")
    lower = upper - probability
    assert (probability[codes] > 0).all(), f"{at}: a code that is never drawn officially"
    outside = np.maximum(lower[codes] - draw, draw - upper[codes])
    worst = int(outside.argmax())
    assert outside[worst] <= LADDER["sampling.probabilities"].largest, (
        f"{at}: draw {draw[worst]:.7f} gave code {codes[worst]}, whose draws are officially "
        f"{lower[codes[worst]]:.7f} to {upper[codes[worst]]:.7f}"
    )
    note("sampling.probabilities", max(0.0, float(outside[worst])))


def assert_frequencies(codes: np.ndarray, probability: np.ndarray, at: str) -> None:
    """Chi-square of drawn codes against official probabilities, rare codes taken together."""
    expected = probability.astype(np.float64) / probability.sum(dtype="f8") * len(codes)
    found = np.bincount(codes, minlength=len(probability))
    common = expected >= 8
    expected = np.append(expected[common], expected[~common].sum())
    found = np.append(found[common], found[~common].sum())
    if expected[-1] < 1:  # too few to count: with the most frequent
        expected[expected.argmax()] += expected[-1]
        found[expected.argmax()] += found[-1]
        expected, found = expected[:-1], found[:-1]
    if len(expected) == 1:
        assert found[0] == len(codes), at
        return
    pvalue = stats.chisquare(found, expected * found.sum() / expected.sum()).pvalue
    assert pvalue > 1e-4, f"{at}: chi-square p {pvalue:.2g}"


@pytest.fixture(scope="module")
def real_logits(judge: Judge) -> dict[str, np.ndarray]:
    """Official logits of the bundled voice: what codes 0 and 5 of one frame are chosen from."""
    oracle = judge(EDGE_VOICE)
    talker, predictor = oracle.teacher_forced(VOICED, oracle.codes(VOICED, 6))
    speaks = talker[4].copy()
    speaks[-RESERVED:] = -np.inf  # as `generate` has it: there all of them score the same
    return {"talker": speaks, "predictor": predictor[4, 4]}


@pytest.mark.parametrize("which", ["talker", "predictor"])
@pytest.mark.parametrize("name", SETTINGS)
def test_the_operation_draws_from_the_official_distribution(
    real_logits: dict[str, np.ndarray], sampler: Sampler, name: str, which: str
) -> None:
    """Real logits; 1000 even draws, the edges, and 4000 random ones."""
    logits, asked = real_logits[which], SETTINGS[name]
    probability = distribution(logits, [], 2, **asked)
    scores = official_scores(logits, [], 2, do_sample=False)
    even = ((np.arange(1000) + 0.5) / 1000).astype(np.float32)
    even[:2] = 0, 1 - 2.0**-24
    codes = sampler(*inputs(scores, even, asked))
    assert_inverse_cdf(even, codes, probability, scores, f"{name}, {which}")
    random = np.concatenate([draws(5, frame, 16) for frame in range(250)])
    codes = sampler(*inputs(scores, random, asked))
    assert_frequencies(codes, probability, f"{name}, {which}")


def test_the_chi_square_would_see_a_wrong_temperature(real_logits: dict[str, np.ndarray]) -> None:
    logits = real_logits["predictor"]
    probability = distribution(logits, [], 2, **SETTINGS["the defaults"])
    scores = official_scores(logits, [], 2, do_sample=False)
    random = np.concatenate([draws(5, frame, 16) for frame in range(1250)])
    wrong = {**SETTINGS["the defaults"], "temperature": 1.0}
    codes = eager(*inputs(scores, random, wrong))
    with pytest.raises(AssertionError, match="chi-square"):
        assert_frequencies(codes, probability, "wrong")
    with pytest.raises(AssertionError, match="whose draws are officially"):
        assert_inverse_cdf(random, codes, probability, scores, "wrong")


def test_ties_fall_to_the_first_code(sampler: Sampler) -> None:
    scores = np.array([1, 3, 3, -np.inf, 3, 0], np.float32)
    draw = np.linspace(0, 0.999, 64, dtype=np.float32)
    assert (sampler(*inputs(scores, draw, {"do_sample": False})) == 1).all()
    two = {"temperature": 1.0, "top_k": 2, "top_p": 1.0}
    assert np.array_equal(sampler(*inputs(scores, draw, two)), np.where(draw < 0.5, 1, 2))


def test_nothing_forbidden_is_drawn_even_if_all_else_is(sampler: Sampler) -> None:
    scores = np.full(40, -np.inf, np.float32)
    scores[17] = -80.0
    draw = np.array([0, 0.5, 1 - 2.0**-24], np.float32)
    for asked in SETTINGS.values():
        assert (sampler(*inputs(scores, draw, asked)) == 17).all()


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    vocab=st.integers(2, 600),
    rows=st.integers(1, 5),
    spread=st.floats(0.1, 12),
    steps=st.sampled_from([0, 0, 2]),
    banned=st.floats(0, 0.9),
)
@example(seed=0, vocab=3072, rows=5, spread=4.0, steps=0, banned=0.3)
def test_the_lowering_chooses_as_eager_does(
    lowered: Sampler, seed: int, vocab: int, rows: int, spread: float, steps: int, banned: float
) -> None:
    """Rows of other settings in one batch; draws on the very edge of a code are left out."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((rows, vocab)) * spread
    if steps:
        scores = np.round(scores * steps) / steps  # ties
    scores[rng.random(scores.shape) < banned] = -np.inf
    scores[:, 0] = np.where(np.isinf(scores).all(axis=1), 0, scores[:, 0])
    arrays = [
        scores.astype(np.float32),
        rng.random(rows, np.float32),
        rng.uniform(0.2, 2, rows).astype(np.float32),
        rng.integers(1, vocab + 1, rows),
        np.where(rng.random(rows) < 0.5, 1, rng.uniform(0.05, 1, rows)).astype(np.float32),
    ]
    for row in zip(*arrays, strict=True):
        assume(not _on_an_edge(*row))
    found, expected = lowered(*arrays), eager(*arrays)
    assert np.array_equal(found, expected)
    alone = [lowered(*(x[i : i + 1] for x in arrays))[0] for i in range(rows)]
    assert np.array_equal(found, alone)


def _on_an_edge(
    scores: np.ndarray, draw: float, temperature: float, top_k: int, top_p: float
) -> bool:
    values = np.sort(scores.astype(np.float64))[::-1][:top_k] / temperature
    probability = np.exp(values - values[0])
    probability /= probability.sum()
    upper = np.cumsum(probability)
    before = upper - probability
    if top_p < 1 and np.abs(before - top_p).min() < 1e-5:
        return True
    total = probability[before < top_p].sum()
    return bool(np.abs(upper[upper < total * (1 + 1e-9)] - draw * total).min(initial=1) < 1e-5)


# the frame graph, with penalty, bans and seen codes


class Spoken:
    """The bundled voice's sentence: our graph stopped before any frame, the official logits."""

    def __init__(self, folder: Path, oracle: Official) -> None:
        self.manifest = Manifest.load(folder)
        self.spec = self.manifest.graphs[FRAME]
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(
            folder / self.spec.file, options, providers=["CPUExecutionProvider"]
        )
        builder = PromptBuilder(folder, self.manifest, Tokenizer.load(folder / TOKENIZER))
        self.prompt: Prompt = builder.build(
            VOICED.text, Voice.speaker("heart"), language="english", text_layout="streamed"
        )
        self.oracle = oracle
        self.codes = oracle.codes(VOICED, 200)
        assert 10 < len(self.codes) < 200
        # One frame more than was spoken: its code 0 is the end of speech.
        end = self.manifest.control_codes.end_of_speech
        last = np.concatenate(([[0]], self.codes[-1:, 1:]), axis=1)
        self.talker, self.predictor = oracle.teacher_forced(
            VOICED, np.concatenate((self.codes, last))
        )
        self.rules = {
            "suppress": [
                code
                for code in range(self.manifest.vocab_size - RESERVED, self.manifest.vocab_size)
                if code != end
            ],
            "eos": end,
        }
        self._pasts: dict[int, dict[str, np.ndarray]] = {}

    def launch(
        self, frame: int, draw: np.ndarray, sampling: Sampling, *, allow_end: bool
    ) -> np.ndarray:
        """Choose frame `frame` once for every row of `draw` (n, 16)."""
        return self._run(self._past(frame), frame, draw, sampling, allow_end=allow_end)[0]

    def _past(self, frame: int) -> dict[str, np.ndarray]:
        """The state before a frame, by speaking greedily up to there."""
        if not self._pasts:
            sizes = {"batch": 1, "capacity": len(self.prompt.rows) + len(self.codes) + 1}
            self._pasts[0] = {
                state.past.name: np.zeros(
                    [sizes.get(axis, axis) for axis in state.past.shape], state.past.dtype
                )
                for state in self.spec.states
            }
            for t, expected in enumerate(self.codes):
                zero = np.zeros((1, 16), np.float32)
                allow_end = t >= MIN_FRAMES
                codes, *present = self._run(
                    self._pasts[t], t, zero, Sampling.greedy(), allow_end=allow_end
                )
                assert np.array_equal(codes[0], expected), t
                names = [state.past.name for state in self.spec.states]
                self._pasts[t + 1] = dict(zip(names, present, strict=True))
        return self._pasts[frame]

    def _run(
        self,
        past: dict[str, np.ndarray],
        frame: int,
        draw: np.ndarray,
        sampling: Sampling,
        *,
        allow_end: bool,
    ) -> list[np.ndarray]:
        n = len(draw)
        rows = self.prompt.text_row(frame - 1) if frame else self.prompt.rows
        position = len(self.prompt.rows) + frame - 1 if frame else 0
        settings = sampling.over(self.manifest.sampling).inputs(
            self.manifest.vocab_size, self.manifest.codebook_size
        )
        feeds = {
            "rows": np.repeat(rows[None], n, axis=0),
            "length": np.full(n, len(rows)),
            "position": np.full(n, position),
            "draws": draw.astype(np.float32),
            "allow_end": np.full(n, allow_end),
            **{name: np.repeat(value, n, axis=0) for name, value in settings.items()},
            **ranks(settings["top_k"], self.manifest.vocab_size, self.manifest.codebook_size),
            **{name: np.repeat(value, n, axis=0) for name, value in past.items()},
        }
        return self.session.run(None, feeds)


@pytest.fixture(scope="module")
def spoken(exact_voice_bundle: Path, judge: Judge) -> Spoken:
    return Spoken(exact_voice_bundle, judge(EDGE_VOICE))


PENALTIES = {"the defaults": 1.05, "every code": 1.0, "a nucleus": 1.5, "hot": 5.0, "greedy": 3.0}


@pytest.mark.parametrize("frame", [0, 1, 2, 6, -1])
@pytest.mark.parametrize("name", PENALTIES)
def test_the_frame_graph_draws_code_0_from_the_official_distribution(
    spoken: Spoken, name: str, frame: int
) -> None:
    """First frames, where the end is banned; later ones; and the last, where speech ends."""
    frame %= len(spoken.codes) + 1
    asked, penalty = SETTINGS[name], PENALTIES[name]
    seen = spoken.codes[:frame, 0].tolist()
    rules = {"repetition_penalty": penalty, **spoken.rules}
    probability = distribution(spoken.talker[frame], seen, frame, **asked, **rules)
    scores = official_scores(spoken.talker[frame], seen, frame, do_sample=False, **rules)
    draw = np.zeros((128, 16), np.float32)
    draw[:, 0] = (np.arange(128) + 0.5) / 128
    codes = spoken.launch(
        frame,
        draw,
        Sampling(**asked, repetition_penalty=penalty, subtalker_dosample=False),
        allow_end=frame >= MIN_FRAMES,
    )
    assert_inverse_cdf(draw[:, 0], codes[:, 0], probability, scores, f"{name}, frame {frame}")
    end = spoken.rules["eos"]
    if frame == len(spoken.codes) and name in ("the defaults", "every code"):
        assert probability[end] > 0.5
        assert (codes[:, 0] == end).mean() > 0.5


def test_the_end_is_banned_even_where_it_is_most_likely(spoken: Spoken) -> None:
    """The last frame's logits, as if they were the first's."""
    frame, end = len(spoken.codes), spoken.rules["eos"]
    assert spoken.talker[frame].argmax() == end
    draw = np.zeros((64, 16), np.float32)
    draw[:, 0] = (np.arange(64) + 0.5) / 64
    asked = Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0)
    allowed = spoken.launch(frame, draw, asked, allow_end=True)
    banned = spoken.launch(frame, draw, asked, allow_end=False)
    assert (allowed[:, 0] == end).any()
    assert not (banned[:, 0] == end).any()
    rules = {"temperature": 1.0, "top_k": 0, **spoken.rules}
    probability = distribution(spoken.talker[frame], [], 0, **rules)
    scores = official_scores(spoken.talker[frame], [], 0, do_sample=False, **spoken.rules)
    assert_inverse_cdf(draw[:, 0], banned[:, 0], probability, scores, "banned")


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("book", [1, 8, 15])
def test_the_frame_graph_draws_the_other_codes_from_the_official_distribution(
    spoken: Spoken, name: str, book: int
) -> None:
    """The predictor: greedy up to there, so the official logits are those of the greedy codes."""
    frame, asked = 6, SETTINGS[name]
    logits = spoken.predictor[frame, book - 1]
    probability = distribution(logits, [], 0, **asked)
    draw = np.zeros((128, 16), np.float32)  # draw 0 is the most likely code
    draw[:, book] = (np.arange(128) + 0.5) / 128
    subtalker = {f"subtalker_{key}": value for key, value in asked.items() if key != "do_sample"}
    if name == "greedy":
        subtalker = {"subtalker_dosample": False}
    codes = spoken.launch(frame, draw, Sampling(do_sample=False, **subtalker), allow_end=True)
    assert (codes[:, :book] == spoken.codes[frame, :book]).all()
    scores = official_scores(logits, [], 0, do_sample=False)
    assert_inverse_cdf(draw[:, book], codes[:, book], probability, scores, f"{name}, {book}")


def test_our_seeds_draw_the_frame_as_often_as_the_official_distribution(spoken: Spoken) -> None:
    """2048 frames of 2048 seeds: code 0 by chi-square, all from one state of the graph."""
    frame, asked = 6, SETTINGS["the defaults"]
    numbers = np.stack([draws(seed, frame, 16) for seed in range(2048)])
    codes = np.concatenate(
        [
            spoken.launch(frame, part, Sampling(**asked), allow_end=True)[:, 0]
            for part in np.split(numbers, 16)
        ]
    )
    seen = spoken.codes[:frame, 0].tolist()
    rules = {**asked, "repetition_penalty": 1.05, **spoken.rules}
    probability = distribution(spoken.talker[frame], seen, frame, **rules)
    assert_frequencies(codes, probability, "frame 6")
