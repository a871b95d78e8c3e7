"""The least time of a frame: what its graphs read, by how fast memory is."""

from pathlib import Path

import msgspec
import pytest

from qwen3_tts_edge.bundle import memory
from qwen3_tts_edge.bundle.graph_spec import ReadsSpec
from qwen3_tts_edge.bundle.manifest import FRAME, PREDICTOR_STEP, TALKER_STEP, Manifest
from qwen3_tts_edge.machine import bandwidth
from qwen3_tts_edge.machine.roofline import CONTEXT, Roofline, frame_reads, roofline

READS = ReadsSpec(once=5 * 10**6, again=14 * 10**6, shared=10**6)


@pytest.fixture
def manifest(voice_bundle: Path) -> Manifest:
    manifest = Manifest.load(voice_bundle)
    frame = msgspec.structs.replace(manifest.graphs[FRAME], reads=READS)
    return msgspec.structs.replace(manifest, graphs={**manifest.graphs, FRAME: frame})


def test_a_frame_of_one_graph_reads_what_that_reads(manifest: Manifest) -> None:
    assert frame_reads(manifest) == READS
    assert READS.total == 19 * 10**6


def test_a_frame_of_two_graphs(manifest: Manifest) -> None:
    """The talker's once and the code predictor's sixteen times."""
    frame = manifest.graphs[FRAME]
    graphs = {
        name: msgspec.structs.replace(frame, file=f"{name}.onnx", states=frame.states * times)
        for name, times in ((TALKER_STEP, 1), (PREDICTOR_STEP, 0))
    }
    split = msgspec.structs.replace(
        manifest, graphs={"codec_decoder": manifest.graphs["codec_decoder"], **graphs}
    )
    found = frame_reads(split)
    assert found.once == 2 * READS.once
    assert found.total == 17 * READS.total
    assert found.shared == READS.shared + READS.once
    assert memory.plan(split).kv_cache == memory.plan(manifest).kv_cache
    assert memory.plan(split).states == memory.plan(manifest).states


def test_the_floor_is_bytes_by_bandwidth(manifest: Manifest) -> None:
    asked: list[int] = []

    def measure(nbytes: int) -> float:
        asked.append(nbytes)
        return 1e9 * len(asked)

    found = roofline(manifest, measure)
    assert asked == [READS.once, READS.shared]
    assert found.kv_cache == CONTEXT * memory.plan(manifest).kv_cache // 1024
    seconds = (READS.once + found.kv_cache) / 1e9 + READS.again / 2e9
    assert found.floor_ms == pytest.approx(1e3 * seconds)
    assert Roofline(ReadsSpec(10**9, 0, 0), 0, 1e9, 1e9).floor_ms == 1e3


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_the_memory_of_the_cpu(threads: int | None) -> None:
    assert 1e7 < bandwidth.cpu_bandwidth(2**24, threads) < 1e13


def test_the_memory_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two buffers, one copied onto the other; everything is given back."""
    clock = iter(range(1000))
    done: list[tuple[object, ...]] = []

    class Cuda:
        def stream(self) -> int:
            return 5

        def event(self) -> int:
            return 6

        def allocate(self, nbytes: int) -> int:
            done.append(("allocate", nbytes))
            return 1000 + len(done)

        def __getattr__(self, name: str) -> object:
            return lambda *arguments: done.append((name, *arguments))

    monkeypatch.setattr(bandwidth, "Cuda", Cuda)
    monkeypatch.setattr(bandwidth.time, "perf_counter", lambda: next(clock))
    size = 2**21
    assert bandwidth.gpu_bandwidth(size) == 8 * 2 * size  # a round takes one second of that clock
    assert done[:3] == [("allocate", size), ("allocate", size), ("clear", 1001, size, 5)]
    assert done[3:13] == [("copy", 1002, 1001, size, 5)] * 8 + [("record", 6, 5), ("wait", 6)]
    assert done[-4:] == [
        ("free", 1001),
        ("free", 1002),
        ("destroy_event", 6),
        ("destroy_stream", 5),
    ]
