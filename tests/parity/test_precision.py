"""Narrow precisions beside float32: what is chosen, what is heard, and what must be float32.

It is the torch modules that compute here, those that are traced, in the types themselves: ONNX
Runtime rounds what it computes in float32. `test_typed_graphs` holds the graphs beside them.
"""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from on_the_cpu import on_the_cpu
from parity.forced import Modules, empty_codec_state
from parity.tolerances import note
from qwen3_tts_edge import Sampling, Synthesizer, Voice
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.speech.prompt import Prompt, PromptBuilder
from qwen3_tts_export.modules.codec_decoder import CodecDecoder
from qwen3_tts_export.parity.forced_graph import ForcedGraph, Logits
from qwen3_tts_export.precision import policy as precision
from qwen3_tts_export.precision.policy import find_precision
from tiny import EDGE_VOICE

BundleIn = Callable[..., Path]
Codes = np.ndarray

# Share of codes that stay, of all codebooks and of the worst one. A code is 1 in 45 to 70 frames.
LEAST = {
    "fp16": (0.99, 0.93),
    "bf16": (0.96, 0.83),
    "int8": (0.94, 0.85),
    "int8-bf16": (0.93, 0.79),
}


@pytest.fixture(scope="module")
def modules(tiny_checkpoint: Callable[..., Path], one_thread: None) -> Callable[..., Modules]:
    @functools.cache
    def load(name: str, kind: str = "fp32", flavour: str = "trt") -> Modules:
        folder = EDGE_VOICE if name == "edge-voice" else tiny_checkpoint("custom_voice", name)
        return Modules(folder, find_precision(kind, flavour))

    return load


def agreement(found: Logits, expected: Logits) -> np.ndarray:
    """Share of frames, by codebook, in which both would choose the same code."""
    first = found.talker.argmax(-1) == expected.talker.argmax(-1)
    others = found.predictor.argmax(-1) == expected.predictor.argmax(-1)
    return np.column_stack((first, others)).mean(axis=0)


# what would be chosen


@pytest.fixture(scope="module")
def drawn(modules: Callable) -> Callable[[str, str], Logits]:
    """Return a function that speaks drawn codes in a type."""

    @functools.cache
    def force(name: str, kind: str) -> Logits:
        rng, config = np.random.default_rng(12), modules(name).config
        rows = rng.standard_normal((9, config.talker.hidden_size)).astype(np.float32)
        codes = rng.integers(0, config.predictor.vocab_size, (24, 16))
        prompt = Prompt(rows, rows[:2], rows[2], opening=0)
        return modules(name, kind).force(prompt, codes)

    return force


@pytest.fixture(scope="module")
def spoken(exact_voice_bundle: Path) -> list[tuple[Prompt, Codes]]:
    """Two sentences and what the bundled voice says to them in float32, greedily."""
    folder = exact_voice_bundle
    tts = Synthesizer.open(folder, threads=1, verify=False)
    build = PromptBuilder(Bundle.open(folder)).build
    voice, found = Voice.speaker("heart"), []
    for text in ("Set a timer for ten minutes.", "What is the weather like today?"):
        codes = tts.speak(text, voice, sampling=Sampling.greedy(), seed=0, max_seconds=4).codes
        found.append((build(text, voice), codes))
    assert sum(len(codes) for _, codes in found) > 30
    return found


@pytest.fixture(scope="module")
def exact(modules: Callable, spoken: list) -> list[Logits]:
    return [modules("edge-voice").force(*each) for each in spoken]


def assert_agree(kind: str, found: list[Logits], expected: list[Logits], who: str) -> None:
    sizes = [len(logits.talker) for logits in found]
    shares = [agreement(a, b) for a, b in zip(found, expected, strict=True)]
    mean = np.average(shares, axis=0, weights=sizes)
    note(f"{kind}: codebook 0 disagrees, {who}", 1 - mean[0])
    note(f"{kind}: codebooks 1-15 disagree, {who}", 1 - mean[1:].mean())
    least, worst = LEAST[kind]
    assert mean.mean() >= least
    assert mean.min() >= worst


@pytest.mark.parametrize("flavour", ["trt", "cuda"])
@pytest.mark.parametrize("kind", LEAST)
def test_the_bundled_voice_would_choose_the_same(
    modules: Callable, spoken: list, exact: list[Logits], kind: str, flavour: str
) -> None:
    found = [modules("edge-voice", kind, flavour).force(*each) for each in spoken]
    assert any(not np.array_equal(a.talker, b.talker) for a, b in zip(found, exact, strict=True))
    assert_agree(kind, found, exact, f"bundled voice, {flavour}")


@pytest.mark.parametrize("kind", LEAST)
@pytest.mark.parametrize("name", ["same", "narrow"])
def test_random_weights_would_choose_the_same(drawn: Callable, name: str, kind: str) -> None:
    assert_agree(kind, [drawn(name, kind)], [drawn(name, "fp32")], f"random, {name}")


def test_the_frame_for_cuda_would_choose_the_same(
    bundle_in: BundleIn, spoken: list, exact: list[Logits], tmp_path: Path
) -> None:
    """The whole graph, in ONNX Runtime on the CPU."""
    graph = ForcedGraph(on_the_cpu(bundle_in("edge-voice", "cuda", "fp16"), tmp_path / "bundle"))
    assert_agree("fp16", [graph.force(*each) for each in spoken], exact, "graph for cuda")


# what is heard


def decoded(codec: CodecDecoder, config: Any, codes: Codes, dtype: torch.dtype) -> np.ndarray:
    pieces, state = [], empty_codec_state(config, dtype=dtype)
    with torch.inference_mode():
        for at in range(0, len(codes), 8):
            chunk = torch.from_numpy(codes[at : at + 8])[None]
            samples, state = codec(chunk, torch.tensor([at]), state)
            assert samples.dtype == torch.float32
            pieces.append(samples[0].numpy())
    return np.concatenate(pieces)


def noise(expected: np.ndarray, found: np.ndarray) -> float:
    """Decibels between the samples and what is wrong with them."""
    wrong = np.square(expected.astype(np.float64) - found).sum()
    return float(10 * np.log10(np.square(expected.astype(np.float64)).sum() / wrong))


@pytest.mark.parametrize("name", ["same", "edge-voice"])
def test_the_codec_in_float16_sounds_the_same(modules: Callable, spoken: list, name: str) -> None:
    config = modules(name).config.codec
    codes = np.random.default_rng(13).integers(0, config.codebook_size, (30, 16))
    said = {"random codes": codes}
    if name == "edge-voice":
        said["speech"] = np.concatenate([codes for _, codes in spoken])
    for what, codes in said.items():
        expected = decoded(modules(name).codec(), config, codes, torch.float32)
        found = decoded(modules(name, "fp16").codec(), config, codes, torch.float16)
        ratio = noise(expected, found)
        note(f"fp16: noise of the codec over its sound, {name}, {what}", 10 ** (-ratio / 20))
        assert ratio > 50, what


# what needs float32: each island is put out to sea, and the numbers no longer hold

HUGE = 600.0


def large_gates(ours: Modules) -> None:
    """silu(gate) * up beyond float16, while gate and up themselves and the sum are not."""
    for layer in ours.predictor.trunk.layers:
        layer.gate_up.weight.mul_(HUGE)
        layer.down.weight.div_(HUGE**2)


def large_logits(ours: Modules) -> None:
    for head in (ours.talker.head, *ours.predictor.heads):
        head.weight.mul_(1e5)


def large_rows(ours: Modules) -> None:
    """The residual stream beyond float16; norms bring it back."""
    ours.talker.embedding.weight.mul_(0).add_(3e4)
    for table in ours.predictor.embeddings:
        table.weight.mul_(0).add_(3e4)


ISLANDS = {
    "the predictor's silu(gate) * up": (large_gates, "_PRODUCTS"),
    "logits": (large_logits, r"|^talker\.head\.|^predictor\.heads"),
    "norms": (large_rows, "_NORMS"),
}


def without(monkeypatch: pytest.MonkeyPatch, island: str) -> None:
    """Take away an island: all of a pattern that has a name, or a part of the one for the rest."""
    if island in vars(precision):
        monkeypatch.setattr(precision, island, re.compile("nothing is called so"))
        return
    pattern = precision._ISLANDS.pattern
    assert pattern.count(island) == 1
    monkeypatch.setattr(precision, "_ISLANDS", re.compile(pattern.replace(island, "")))


@pytest.mark.parametrize("what", ISLANDS)
def test_a_frame_in_float16_needs_its_islands(
    tiny_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder, (enlarge, island) = tiny_checkpoint("custom_voice", "same"), ISLANDS[what]
    rng = np.random.default_rng(14)
    rows = rng.standard_normal((4, 128)).astype(np.float32)
    prompt, codes = Prompt(rows, rows[:2], rows[2], opening=0), rng.integers(0, 2048, (3, 16))

    def logits(kind: str) -> Logits:
        ours = Modules(folder, find_precision(kind, "trt"))
        enlarge(ours)
        return ours.force(prompt, codes)

    expected, found = logits("fp32"), logits("fp16")
    for part in ("talker", "predictor"):
        reference = getattr(expected, part)
        assert np.isfinite(reference).all()
        difference = np.abs(getattr(found, part) - reference).max()
        assert difference < 0.02 * np.abs(reference).max()
    without(monkeypatch, island)
    lost = logits("fp16")
    assert not (np.isfinite(lost.talker).all() and np.isfinite(lost.predictor).all())


def large_entries(codec: CodecDecoder) -> None:
    codec.books.weight.mul_(1e6)
    for project in (codec.semantic, codec.acoustic):
        project.weight.div_(1e6)


def slow_sines(codec: CodecDecoder) -> None:
    """1 / exp(beta) beyond float16, which it is for a beta of -12."""
    codec.snake.a.mul_(1e-3)
    codec.snake.b.fill_(1).mul_(2e5)


@pytest.mark.parametrize(
    ("enlarge", "island"),
    [(large_entries, r"|^(books|semantic|acoustic)\."), (slow_sines, r"|snake\d?\.[ab]$")],
)
def test_the_codec_in_float16_needs_its_islands(
    modules: Callable, monkeypatch: pytest.MonkeyPatch, enlarge: Callable, island: str
) -> None:
    config = modules("same").config.codec
    codes = np.random.default_rng(15).integers(0, config.codebook_size, (4, 16))

    def heard(kind: str, dtype: torch.dtype) -> np.ndarray:
        codec = modules("same", kind).codec()
        enlarge(codec)
        return decoded(codec, config, codes, dtype)

    expected, found = heard("fp32", torch.float32), heard("fp16", torch.float16)
    without(monkeypatch, island)
    lost = heard("fp16", torch.float16)
    assert noise(expected, found) > 45
    assert not np.isfinite(lost).all()
