"""What a frame reads is counted from the graphs, and memory is measured."""

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from qwen3_tts_edge.bundle import memory
from qwen3_tts_edge.bundle.manifest import FRAME, PREDICTOR_STEP, TALKER_STEP, Manifest
from qwen3_tts_edge.errors import BundleError
from qwen3_tts_edge.machine import bandwidth
from qwen3_tts_edge.machine.graph_reads import Reads, graph_reads
from qwen3_tts_edge.machine.roofline import CONTEXT, Roofline, frame_reads, roofline


def counted_by_onnx(path: Path) -> Reads:
    """The same count, from the onnx package's own reading of the file."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(path, load_external_data=False).graph
    found = {
        tensor.name: (
            tensor.name,
            tuple(tensor.dims),
            onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize,
        )
        for tensor in graph.initializer
    }
    sizes, uses = Counter(), Counter()
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        folded = {"Cast", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "Identity"}
        if node.op_type in folded and node.input[0] in found:
            name, shape, width = found[node.input[0]]
            if node.op_type == "Cast":
                width = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"]).itemsize
            found[node.output[0]] = (name, shape, width)
            continue
        for place, value in enumerate(node.input):
            if value not in found:
                continue
            name, shape, width = found[value]
            nbytes = int(np.prod(shape, dtype=np.int64)) * width
            tables = {"Gather": (0,), "GroupQueryAttention": (7, 8)}.get(node.op_type, ())
            if place in tables and shape:
                nbytes //= max(shape[attributes.get("axis", 0)], 1)
            sizes[name] = max(sizes[name], nbytes)
            uses[name] += 1
    return Reads(
        once=sizes.total(),
        again=sum(sizes[name] * (count - 1) for name, count in uses.items()),
        shared=sum(sizes[name] for name, count in uses.items() if count > 1),
    )


@pytest.mark.parametrize("name", ["frame", "codec_decoder"])
def test_the_count_is_that_of_the_onnx_package(voice_bundle: Path, name: str) -> None:
    path = voice_bundle / f"{name}.onnx"
    assert graph_reads(path) == counted_by_onnx(path)


def test_the_code_predictor_is_read_for_each_codebook(voice_bundle: Path) -> None:
    """Its layers, 15 times; each head once. What is left over are constants of a few bytes."""
    found = graph_reads(voice_bundle / "frame.onnx")
    assert found.again == pytest.approx(14 * found.shared, rel=0.01)
    assert found.total == found.once + found.again
    size = (voice_bundle / "frame.data").stat().st_size
    assert 0.4 * size < found.once < size  # without tables; heads are read twice as large


def small_graph(path: Path) -> Path:
    """A table, a matrix that two nodes read, and one in bfloat16 behind a Cast."""
    onnx = pytest.importorskip("onnx")
    types = onnx.TensorProto
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info

    def tensor(name: str, kind: int, *shape: int) -> object:
        raw = bytes(int(np.prod(shape)) * onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)
        return onnx.helper.make_tensor(name, kind, shape, raw, raw=True)

    graph = onnx.helper.make_graph(
        [
            node("Gather", ["table", "row"], ["x"], axis=0),
            node("Gather", ["columns", "row"], ["column"], axis=1),
            node("MatMul", ["x", "matrix"], ["y"]),
            node("MatMul", ["y", "matrix"], ["z"]),
            node("Cast", ["half"], ["whole"], to=types.FLOAT),
            node("Transpose", ["whole"], ["turned"], perm=[1, 0]),
            node("MatMul", ["z", "turned"], ["out"]),
        ],
        "small",
        [value("row", types.INT64, [1])],
        [value("out", types.FLOAT, [1, 4]), value("column", types.FLOAT, [3, 1])],
        [
            tensor("table", types.FLOAT, 100, 8),
            tensor("columns", types.FLOAT, 3, 50),
            tensor("matrix", types.FLOAT, 8, 8),
            tensor("half", types.BFLOAT16, 4, 8),
        ],
    )
    onnx.save(onnx.helper.make_model(graph), path)
    return path


def test_a_small_graph(tmp_path: Path) -> None:
    found = graph_reads(small_graph(tmp_path / "small.onnx"))
    row, column, matrix, cast = 8 * 4, 3 * 4, 8 * 8 * 4, 4 * 8 * 4
    assert found == Reads(once=row + column + matrix + cast, again=matrix, shared=matrix)


def test_a_frame_of_two_graphs(voice_bundle: Path, tmp_path: Path) -> None:
    for name in (TALKER_STEP, PREDICTOR_STEP):
        small_graph(tmp_path / f"{name}.onnx")
    manifest = Manifest.load(voice_bundle)
    frame = manifest.graphs[FRAME]
    graphs = {
        name: msgspec.structs.replace(frame, file=f"{name}.onnx", states=frame.states * times)
        for name, times in ((TALKER_STEP, 1), (PREDICTOR_STEP, 0))
    }
    split = msgspec.structs.replace(
        manifest, graphs={"codec_decoder": manifest.graphs["codec_decoder"], **graphs}
    )
    one = graph_reads(tmp_path / f"{TALKER_STEP}.onnx")
    found = frame_reads(tmp_path, split)
    assert found.once == 2 * one.once
    assert found.total == 17 * one.total
    assert memory.plan(split).kv_cache == memory.plan(manifest).kv_cache
    assert memory.plan(split).states == memory.plan(manifest).states


def test_the_floor_is_bytes_by_bandwidth(voice_bundle: Path) -> None:
    manifest = Manifest.load(voice_bundle)
    asked: list[int] = []

    def measure(nbytes: int) -> float:
        asked.append(nbytes)
        return 1e9 * len(asked)

    found = roofline(voice_bundle, manifest, measure)
    assert asked == [found.reads.once, found.reads.shared]
    assert found.kv_cache == CONTEXT * memory.plan(manifest).kv_cache // 1024
    seconds = (found.reads.once + found.kv_cache) / 1e9 + found.reads.again / 2e9
    assert found.floor_ms == pytest.approx(1e3 * seconds)
    assert Roofline(Reads(10**9), 0, 1e9, 1e9).floor_ms == 1e3


@pytest.mark.parametrize("content", [b"", b"no graph at all", bytes([0x3A, 0x80])])
def test_a_file_that_is_no_graph(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "frame.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"frame\.onnx is not a readable ONNX graph"):
        graph_reads(tmp_path / "frame.onnx")


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
