"""Chunks of samples as captured graphs: the samples of the CPU, each size captured but once."""

import gc
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fake_cuda import FakeCuda, disguised, fake_cuda
from qwen3_tts_edge.backends import Graph, State, open_backend
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, Manifest
from qwen3_tts_edge.codec.decoder import CodecDecoder, DecoderStream
from qwen3_tts_edge.errors import BundleError

LONGEST = 16
"""Frames of a chunk that is captured."""
UTTERANCES = (31, 1, 12, 31)
"""Frames each. None ends where a chunk does, whatever the sizes below."""
RAMP = (1, 2, 4, 8)
CHUNKS = [RAMP, (1,), (3,), (5, 1, 2), (LONGEST,), (LONGEST + 1,), (1, 25, 7)]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    with fake_cuda(monkeypatch) as module:
        yield module


def opened(bundle: Path, backend: str) -> Graph:
    manifest = Manifest.load(bundle)
    opener = open_backend(backend, flavour=manifest.flavour, threads=1)
    return opener.open(bundle, manifest.graphs[CODEC_DECODER])


def decoder(bundle: Path, backend: str) -> CodecDecoder:
    return CodecDecoder(opened(bundle, backend), Manifest.load(bundle), backend)


@pytest.fixture(scope="module")
def on_the_cpu(voice_bundle: Path) -> CodecDecoder:
    return decoder(voice_bundle, "ort-cpu")


@pytest.fixture
def cuda_bundle(voice_bundle: Path, tmp_path: Path) -> Path:
    return disguised(voice_bundle, tmp_path / "bundle", flavour="cuda")


@pytest.fixture
def codec(cuda_bundle: Path, gpu: FakeCuda) -> CodecDecoder:
    return decoder(cuda_bundle, "ort-cuda")


def pushed(stream: DecoderStream, codes: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """The samples of codes, in chunks of these sizes, the last over and over."""
    samples, start = [], 0
    while start < len(codes):
        size = sizes[min(len(samples), len(sizes) - 1)]
        samples.append(stream.push(codes[start : start + size]))
        start += size
    return samples


def some_codes(seed: int, length: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (length, 16))


def decoded(
    codec: CodecDecoder, sizes: Sequence[int], utterances: Sequence[int] = UTTERANCES
) -> list[np.ndarray]:
    """The samples of some utterances, one after the other, chunk by chunk."""
    return [
        samples
        for seed, length in enumerate(utterances)
        for samples in pushed(codec.begin(), some_codes(seed, length), sizes)
    ]


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
    on_the_cpu: CodecDecoder,
    gpu: FakeCuda,
    sizes: tuple[int, ...],
    *,
    in_place: bool,
) -> None:
    bundle = disguised(voice_bundle, tmp_path / "bundle", flavour="cuda", in_place=in_place)
    found = decoded(decoder(bundle, "ort-cuda"), sizes)
    assert same(found, decoded(on_the_cpu, sizes))


def test_a_size_is_captured_when_it_is_first_met(codec: CodecDecoder, gpu: FakeCuda) -> None:
    decoded(codec, RAMP, [27])
    first = taken(gpu)
    numbers = list(dict.fromkeys(number for number, _ in first))
    # 1, 2, 4 and 8 frames, each followed by one replay, from the state that was put back; then
    # 8 again, and 4.
    assert first == [
        (number, what) for number in numbers[:4] for what in ("captured", "replayed")
    ] + [(numbers[3], "replayed"), (numbers[2], "replayed")]

    allocated = len(gpu.allocations)
    decoded(codec, RAMP, [27])
    assert taken(gpu) == [(numbers[at], "replayed") for at in (0, 1, 2, 3, 3, 2)]
    assert len(gpu.allocations) == allocated


def test_two_buffers_that_take_turns_have_two_graphs_a_size(
    voice_bundle: Path, tmp_path: Path, gpu: FakeCuda
) -> None:
    bundle = disguised(voice_bundle, tmp_path / "bundle", flavour="cuda", in_place=False)
    decoded(decoder(bundle, "ort-cuda"), (4,), [16])
    (one, first), (other, second), *replayed = taken(gpu)
    assert first == second == "captured"
    assert one != other
    assert replayed == [(one, "replayed"), (other, "replayed")]


def test_a_long_chunk_is_launched_node_by_node(codec: CodecDecoder, gpu: FakeCuda) -> None:
    decoded(codec, (LONGEST, LONGEST + 1), [2 * LONGEST + 1] * 2)
    (number, captured), _, plain, again, plain_again = taken(gpu)
    assert captured == "captured"
    assert plain == plain_again == (-1, "launched")
    assert again == (number, "replayed")  # what came between left it what it needs


def test_only_what_is_captured_keeps_its_buffers(codec: CodecDecoder, gpu: FakeCuda) -> None:
    decoded(codec, (1, 17), [18])
    held = len(gpu.buffers)
    decoded(codec, (1, 18, 19, 20), [58])
    assert len(gpu.buffers) == held


def test_there_are_no_more_graphs_than_sizes(codec: CodecDecoder, gpu: FakeCuda) -> None:
    every = list(range(1, LONGEST + 10))
    for _ in range(2):
        decoded(codec, every, [sum(every)])
    captured = [number for number, what in taken(gpu) if what == "captured"]
    assert len(set(captured)) == len(captured) == LONGEST
    assert gpu.released == []


def test_another_thread_captures_for_itself(
    codec: CodecDecoder, on_the_cpu: CodecDecoder, gpu: FakeCuda
) -> None:
    expected = decoded(on_the_cpu, RAMP)
    for _ in range(2):
        found: list[np.ndarray] = []
        thread = threading.Thread(target=lambda found=found: found.extend(decoded(codec, RAMP)))
        thread.start()
        thread.join()
        assert same(found, expected)
        captured = [number for number, what in taken(gpu) if what == "captured"]
        assert len(set(captured)) == len(captured) == len({1, 2, 4, 8} | {5})


def test_each_state_has_graphs_of_its_own(cuda_bundle: Path, gpu: FakeCuda) -> None:
    """And gives them back; the first one goes on with its own."""
    graph = opened(cuda_bundle, "ort-cuda")
    first, pair = graph.state(), graph.state(2)

    def run(state: State) -> list[tuple[int | None, str]]:
        codes = np.zeros((state.slots, 3, 16), np.int64)
        graph.run({"codes": codes, "position": np.zeros(state.slots, np.int64)}, state)
        return taken(gpu)

    ((number, captured), put_back), ((other, also), _) = run(first), run(pair)
    assert captured == also == "captured"
    assert put_back == (number, "replayed")
    assert number != other
    assert run(pair) == [(other, "replayed")]
    del pair
    gc.collect()
    assert gpu.released == [other]
    assert run(first) == [(number, "replayed")]


def test_streams_in_turns(codec: CodecDecoder, on_the_cpu: CodecDecoder) -> None:
    """Each has a state; one that is over leaves it to the next, with what was captured for it."""
    utterances = [some_codes(seed, 12) for seed in range(3)]
    expected = [pushed(on_the_cpu.begin(), codes, (4,)) for codes in utterances]
    for _ in range(2):
        streams = [codec.begin() for _ in utterances]
        for turn, start in enumerate((0, 4, 8)):
            for at, (stream, codes) in enumerate(zip(streams, utterances, strict=True)):
                found = stream.push(codes[start : start + 4])
                assert np.array_equal(found, expected[at][turn])


def test_a_stream_that_goes_on_from_another(
    codec: CodecDecoder, on_the_cpu: CodecDecoder, gpu: FakeCuda
) -> None:
    """The first time the reference is decoded, then copied."""
    reference, codes = some_codes(7, 20), some_codes(8, 9)
    expected = pushed(on_the_cpu.begin(reference), codes, RAMP)
    assert same(pushed(codec.begin(reference), codes, RAMP), expected)
    taken(gpu)
    stream = codec.begin(reference)
    assert taken(gpu) == []
    assert same(pushed(stream, codes, RAMP), expected)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_reference_that_was_decoded_in_another_process(
    voice_bundle: Path, tmp_path: Path, gpu: FakeCuda, *, in_place: bool
) -> None:
    bundle = disguised(voice_bundle, tmp_path / "bundle", flavour="cuda", in_place=in_place)
    reference, codes = some_codes(7, 20), some_codes(8, 9)
    before = decoder(bundle, "ort-cuda")
    expected = pushed(before.begin(reference), codes, RAMP)
    primed = before.prime(reference)
    taken(gpu)
    stream = decoder(bundle, "ort-cuda").begin(primed)
    assert taken(gpu) == []
    assert same(pushed(stream, codes, RAMP), expected)


def test_a_graph_without_a_state_is_not_captured(cuda_bundle: Path, gpu: FakeCuda) -> None:
    """An encoder runs once for a voice, on as many samples as there are."""
    spec = Manifest.load(cuda_bundle).graphs[CODEC_DECODER]
    backend = open_backend("ort-cuda", flavour="cuda")
    with pytest.raises(BundleError, match="the manifest says nothing of it"):  # it has states
        backend.open(cuda_bundle, msgspec.structs.replace(spec, states=()))
    ((_, settings),) = gpu.sessions
    assert "enable_cuda_graph" not in settings
