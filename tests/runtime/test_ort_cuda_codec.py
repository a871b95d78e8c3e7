"""Chunks of samples as captured graphs: the samples of the CPU, each size captured but once."""

import gc
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fake_cuda import FakeCuda, disguised, fake_cuda
from qwen3_tts_edge.backends import Graph, open_backend
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, Manifest
from qwen3_tts_edge.codec.decoder import RAMP, CodecDecoder, chunks

LONGEST = 16
"""Frames of a chunk that is captured."""
UTTERANCES = (31, 1, 12, 31)
"""Frames each. None ends where a chunk does, whatever the sizes below."""
CHUNKS = [RAMP, (1,), (3,), (5, 1, 2), (LONGEST,), (LONGEST + 1,), (1, 25, 7)]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    with fake_cuda(monkeypatch) as module:
        yield module


def opened(bundle: Path, backend: str) -> Graph:
    manifest = Manifest.load(bundle)
    opener = open_backend(backend, flavour=manifest.flavour, threads=1)
    return opener.open(bundle, manifest.graphs[CODEC_DECODER], {"batch": 1})


@pytest.fixture(scope="module")
def on_the_cpu(voice_bundle: Path) -> Graph:
    return opened(voice_bundle, "ort-cpu")


@pytest.fixture
def cuda_bundle(voice_bundle: Path, tmp_path: Path) -> Path:
    return disguised(voice_bundle, tmp_path / "bundle", flavour="cuda")


@pytest.fixture
def graph(cuda_bundle: Path, gpu: FakeCuda) -> Graph:
    return opened(cuda_bundle, "ort-cuda")


def decoded(
    graph: Graph, bundle: Path, sizes: Sequence[int], utterances: Sequence[int] = UTTERANCES
) -> list[np.ndarray]:
    """The samples of some utterances, chunk by chunk."""
    codec = CodecDecoder(graph, Manifest.load(bundle))
    samples = []
    for seed, length in enumerate(utterances):
        codes = np.random.default_rng(seed).integers(0, 256, (length, 16))
        codec.begin()
        samples += [codec.push(piece) for piece in chunks(codes, sizes)]
    return samples


def same(some: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))


def taken(gpu: FakeCuda) -> list[tuple[int | None, str]]:
    """The launches since the last call: the number of the CUDA graph, and what became of it."""
    launches = [(number, what) for _, number, what in gpu.launches]
    gpu.launches.clear()
    return launches


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("sizes", CHUNKS)
def test_the_samples_are_those_of_the_cpu(
    voice_bundle: Path,
    tmp_path: Path,
    on_the_cpu: Graph,
    gpu: FakeCuda,
    sizes: tuple[int, ...],
    *,
    in_place: bool,
) -> None:
    bundle = disguised(voice_bundle, tmp_path / "bundle", flavour="cuda", in_place=in_place)
    found = decoded(opened(bundle, "ort-cuda"), bundle, sizes)
    assert same(found, decoded(on_the_cpu, bundle, sizes))


def test_a_size_is_captured_when_it_is_first_met(
    graph: Graph, cuda_bundle: Path, gpu: FakeCuda
) -> None:
    decoded(graph, cuda_bundle, RAMP, [27])
    first = taken(gpu)
    numbers = list(dict.fromkeys(number for number, _ in first))
    # 1, 2, 4 and 8 frames, each followed by one replay, from the state that was put back; then
    # 8 again, and 4.
    assert first == [
        (number, what) for number in numbers[:4] for what in ("captured", "replayed")
    ] + [(numbers[3], "replayed"), (numbers[2], "replayed")]

    allocated = len(gpu.allocations)
    decoded(graph, cuda_bundle, RAMP, [27])
    assert taken(gpu) == [(numbers[at], "replayed") for at in (0, 1, 2, 3, 3, 2)]
    assert len(gpu.allocations) == allocated


def test_two_buffers_that_take_turns_have_two_graphs_a_size(
    voice_bundle: Path, tmp_path: Path, gpu: FakeCuda
) -> None:
    bundle = disguised(voice_bundle, tmp_path / "bundle", flavour="cuda", in_place=False)
    decoded(opened(bundle, "ort-cuda"), bundle, (4,), [16])
    (one, first), (other, second), *replayed = taken(gpu)
    assert first == second == "captured"
    assert one != other
    assert replayed == [(one, "replayed"), (other, "replayed")]


def test_a_long_chunk_is_launched_node_by_node(
    graph: Graph, cuda_bundle: Path, gpu: FakeCuda
) -> None:
    decoded(graph, cuda_bundle, (LONGEST, LONGEST + 1), [2 * LONGEST + 1] * 2)
    (number, captured), _, plain, again, plain_again = taken(gpu)
    assert captured == "captured"
    assert plain == plain_again == (-1, "launched")
    assert again == (number, "replayed")  # what came between left it what it needs


def test_only_what_is_captured_keeps_its_buffers(
    graph: Graph, cuda_bundle: Path, gpu: FakeCuda
) -> None:
    decoded(graph, cuda_bundle, (1, 17), [18])
    held = len(gpu.buffers)
    decoded(graph, cuda_bundle, (1, 18, 19, 20), [58])
    assert len(gpu.buffers) == held


def test_there_are_no_more_graphs_than_sizes(
    graph: Graph, cuda_bundle: Path, gpu: FakeCuda
) -> None:
    every = list(range(1, LONGEST + 10))
    for _ in range(2):
        decoded(graph, cuda_bundle, every, [sum(every)])
    captured = [number for number, what in taken(gpu) if what == "captured"]
    assert len(set(captured)) == len(captured) == LONGEST
    assert gpu.released == []


def test_another_thread_captures_for_itself(
    graph: Graph, cuda_bundle: Path, on_the_cpu: Graph, gpu: FakeCuda
) -> None:
    expected = decoded(on_the_cpu, cuda_bundle, RAMP)
    for _ in range(2):
        found: list[np.ndarray] = []
        thread = threading.Thread(
            target=lambda found=found: found.extend(decoded(graph, cuda_bundle, RAMP))
        )
        thread.start()
        thread.join()
        assert same(found, expected)
        captured = [number for number, what in taken(gpu) if what == "captured"]
        assert len(set(captured)) == len(captured) == len({1, 2, 4, 8} | {5})


def test_another_batch_size_has_graphs_of_its_own(
    graph: Graph, cuda_bundle: Path, on_the_cpu: Graph, gpu: FakeCuda
) -> None:
    """And gives them back; the first one goes on with its own."""
    codes = np.random.default_rng(0).integers(0, 256, (2, 3, 16))
    first = decoded(graph, cuda_bundle, RAMP)
    taken(gpu)
    pair, pair_on_the_cpu = graph.resized({"batch": 2}), on_the_cpu.resized({"batch": 2})
    for position in ([0, 0], [3, 3]):
        inputs = {"codes": codes, "position": np.array(position)}
        expected = pair_on_the_cpu.run(inputs)["samples"]
        assert np.array_equal(pair.run(inputs)["samples"], expected)
    (number, captured), *replayed = taken(gpu)
    assert captured == "captured"
    assert replayed == [(number, "replayed")] * 2
    del pair
    gc.collect()
    assert gpu.released == [number]
    assert same(decoded(graph, cuda_bundle, RAMP), first)
    assert {what for _, what in taken(gpu)} == {"replayed"}


def test_a_graph_without_a_state_is_not_captured(cuda_bundle: Path, gpu: FakeCuda) -> None:
    """An encoder runs once for a voice, on as many samples as there are."""
    spec = Manifest.load(cuda_bundle).graphs[CODEC_DECODER]
    backend = open_backend("ort-cuda", flavour="cuda")
    backend.open(cuda_bundle, msgspec.structs.replace(spec, states=()), {"batch": 1})
    ((_, settings),) = gpu.sessions
    assert "enable_cuda_graph" not in settings
