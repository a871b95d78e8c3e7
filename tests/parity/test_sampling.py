"""The operation that chooses a code: in eager torch, and as the graphs have it."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from onnxscript import ir
from torch import Tensor, nn

from oracle import official_scores
from oracle.answers import AskedOnce
from parity.official_draws import (
    SETTINGS,
    VOICED,
    assert_frequencies,
    assert_inverse_cdf,
    distribution,
)
from qwen3_tts_edge.bundle.graph_spec import StateSpec, TensorSpec
from qwen3_tts_edge.speech.sampling import draws
from qwen3_tts_export.graphs.declared import Graph
from qwen3_tts_export.graphs.flavours import FLAVOURS
from qwen3_tts_export.graphs.trace import trace
from qwen3_tts_export.modules.frame import RESERVED
from qwen3_tts_export.modules.sampling import sample
from tiny import EDGE_VOICE

Judge = Callable[[Path], AskedOnce]
Sampler = Callable[..., np.ndarray]
Rows = list[np.ndarray]

VOCABULARIES = (2, 37, 64, 600, 2048, 3072)


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


def sampling_graph(vocabulary: int, *, ranked: bool) -> Graph:
    """The operation alone."""

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


@functools.cache
def model_of(flavour: str, vocabulary: int) -> onnx.ModelProto:
    """The operation alone, traced as it is in a flavour's graphs."""
    ranked = flavour in ("ort", "cuda")
    return ir.to_proto(trace(sampling_graph(vocabulary, ranked=ranked), flavour))


@functools.cache
def session_of(flavour: str, vocabulary: int) -> ort.InferenceSession:
    model = model_of(flavour, vocabulary)
    onnx.checker.check_model(model, full_check=True)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def lowered(flavour: str, *arrays: np.ndarray) -> np.ndarray:
    """What a flavour's graph chooses, of as few ranks as may be."""
    scores, draw, temperature, top_k, top_p = arrays
    session = session_of(flavour, scores.shape[-1])
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


_SAMPLE = torch.ops.qwen3_tts.sample.default
LOWERED = {wanted.lowerings[_SAMPLE]: name for name, wanted in FLAVOURS.items()}
SAMPLERS = ["eager", *LOWERED.values()]
"""One flavour for each lowering of the operation: the others have the same graph."""


@pytest.mark.parametrize("flavour", sorted(FLAVOURS.keys() - LOWERED.values()))
def test_flavours_of_one_lowering_choose_by_the_same_graph(flavour: str) -> None:
    other = LOWERED[FLAVOURS[flavour].lowerings[_SAMPLE]]
    assert model_of(flavour, 64).graph == model_of(other, 64).graph


@pytest.fixture(params=SAMPLERS)
def sampler(request: pytest.FixtureRequest) -> Sampler:
    return eager if request.param == "eager" else functools.partial(lowered, request.param)


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


def rows_of(rng: np.random.Generator, rows: int, vocab: int, spread: float, banned: float) -> Rows:
    """Scores, draws and settings of a batch, each row with others."""
    scores = rng.standard_normal((rows, vocab)) * spread
    scores[rng.random(scores.shape) < banned] = -np.inf
    scores[:, 0] = np.where(np.isinf(scores).all(axis=1), 0, scores[:, 0])
    return [
        scores.astype(np.float32),
        rng.random(rows, np.float32),
        rng.uniform(0.2, 2, rows).astype(np.float32),
        rng.integers(1, vocab + 1, rows),
        np.where(rng.random(rows) < 0.5, 1, rng.uniform(0.05, 1, rows)).astype(np.float32),
    ]


@pytest.mark.parametrize("flavour", SAMPLERS)
@given(
    seed=st.integers(0, 2**32 - 1),
    vocab=st.sampled_from(VOCABULARIES),
    rows=st.integers(1, 5),
    spread=st.floats(0.1, 12),
    steps=st.sampled_from([0, 0, 2]),
    banned=st.floats(0, 0.9),
)
@example(seed=0, vocab=3072, rows=5, spread=4.0, steps=0, banned=0.3)
@example(seed=151, vocab=3072, rows=2, spread=0.552734375, steps=2, banned=0.28962976101034554)
def test_every_row_chooses_as_without_rounding_whatever_the_batch(
    flavour: str, seed: int, vocab: int, rows: int, spread: float, steps: int, banned: float
) -> None:
    """Rows of other settings in one batch, against the same sums in float64."""
    arrays = rows_of(np.random.default_rng(seed), rows, vocab, spread, banned)
    if steps:
        arrays[0] = np.round(arrays[0] * steps) / steps  # ties
    choose = eager if flavour == "eager" else functools.partial(lowered, flavour)
    found = choose(*arrays)
    for code, *row in zip(found, *arrays, strict=True):
        assert right_without_rounding(code, *row)
    alone = [choose(*(x[i : i + 1] for x in arrays))[0] for i in range(rows)]
    assert np.array_equal(found, alone)


def test_the_neighbour_of_a_code_is_never_right_as_well() -> None:
    arrays = rows_of(np.random.default_rng(3), 200, 64, spread=2.0, banned=0.3)
    for code, *row in zip(eager(*arrays), *arrays, strict=True):
        order = np.argsort(-row[0], kind="stable")
        (rank,) = np.flatnonzero(order == code)
        assert right_without_rounding(code, *row)
        assert not any(right_without_rounding(order[x], *row) for x in (rank - 1, rank + 1))


@pytest.mark.parametrize("vocab", VOCABULARIES)
def test_the_last_draw_is_not_past_the_last_code(sampler: Sampler, vocab: int) -> None:
    """Sums of another order may be larger, or fall: then it would be a code that is not allowed."""
    arrays = rows_of(np.random.default_rng(vocab), 400, vocab, spread=2.0, banned=0.3)
    scores, draw, _, top_k, _ = arrays
    draw[:] = 1 - 2.0**-24
    chosen = scores[np.arange(400), sampler(*arrays)]
    assert np.isfinite(chosen).all()
    assert ((scores > chosen[:, None]).sum(axis=1) < top_k).all()


def right_without_rounding(
    code: int, scores: np.ndarray, draw: float, temperature: float, top_k: int, top_p: float
) -> bool:
    """Whether the draw lies in the code's part of the distribution, but for what sums may lose.

    That is half a step of 2**-23 for each code summed; with ties all of them err the same way.
    """
    order = np.argsort(-scores, kind="stable")[:top_k]
    values = (scores[order] / temperature).astype(np.float64)
    probability = np.exp(values - values[0])
    probability /= probability.sum()
    upper = np.cumsum(probability)
    before = upper - probability
    slack = 1e-6 + np.isfinite(values).sum() * 2.0**-24
    surely = upper[before < top_p - slack][-1]  # kept: how much at least, at most
    perhaps = upper[before < top_p + slack][-1]
    here = (order == code) & np.isfinite(values) & (before < top_p + slack)
    here &= (before - slack <= draw * perhaps) & (draw * surely <= upper + slack)
    return bool(here.any())
