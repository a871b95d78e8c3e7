"""What the manifest says a launch reads is what the graph's file makes it read."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxscript import ir

from qwen3_tts_edge.bundle.graph_spec import ReadsSpec
from qwen3_tts_edge.bundle.manifest import FRAME, Manifest
from qwen3_tts_export.bundle.reads import count_reads

TYPES = onnx.TensorProto
FOLDED = {"Cast", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "Identity"}


def counted_by_onnx(path: Path) -> ReadsSpec:
    """The same count, from the onnx package's own reading of the file."""
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
        if node.op_type in FOLDED and node.input[0] in found:
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
    return ReadsSpec(
        once=sizes.total(),
        again=sum(sizes[name] * (count - 1) for name, count in uses.items()),
        shared=sum(sizes[name] for name, count in uses.items() if count > 1),
    )


def test_the_manifest_says_what_the_onnx_package_counts(tiny_bundle: Callable[..., Path]) -> None:
    folder = tiny_bundle("base")
    for graph in Manifest.load(folder).graphs.values():
        assert graph.reads == counted_by_onnx(folder / graph.file), graph.file
        assert graph.reads.once > 0


def test_packed_weights_are_counted_as_they_are_stored(voice_bundle: Path) -> None:
    """Layers of the code predictor are read 15 times, and each head once.

    What is left over are constants of a few bytes.
    """
    path = voice_bundle / Manifest.load(voice_bundle).graphs[FRAME].file
    found = count_reads(ir.load(path))
    assert found == counted_by_onnx(path)
    assert found.again == pytest.approx(14 * found.shared, rel=0.01)
    size = path.with_suffix(".data").stat().st_size
    assert 0.4 * size < found.once < size  # without tables; heads are read twice as large


def test_a_small_graph() -> None:
    """A table, a matrix that two nodes read, and one in bfloat16 behind a Cast."""
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info

    def tensor(name: str, kind: int, *shape: int) -> onnx.TensorProto:
        raw = bytes(int(np.prod(shape)) * onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)
        return onnx.helper.make_tensor(name, kind, shape, raw, raw=True)

    graph = onnx.helper.make_graph(
        [
            node("Gather", ["table", "row"], ["x"], axis=0),
            node("Gather", ["columns", "row"], ["column"], axis=1),
            node("MatMul", ["x", "matrix"], ["y"]),
            node("MatMul", ["y", "matrix"], ["z"]),
            node("Cast", ["half"], ["whole"], to=TYPES.FLOAT),
            node("Transpose", ["whole"], ["turned"], perm=[1, 0]),
            node("MatMul", ["z", "turned"], ["out"]),
        ],
        "small",
        [value("row", TYPES.INT64, [1])],
        [value("out", TYPES.FLOAT, [1, 4]), value("column", TYPES.FLOAT, [3, 1])],
        [
            tensor("table", TYPES.FLOAT, 100, 8),
            tensor("columns", TYPES.FLOAT, 3, 50),
            tensor("matrix", TYPES.FLOAT, 8, 8),
            tensor("half", TYPES.BFLOAT16, 4, 8),
        ],
    )
    row, column, matrix, cast = 8 * 4, 3 * 4, 8 * 8 * 4, 4 * 8 * 4
    assert count_reads(ir.from_proto(onnx.helper.make_model(graph))) == ReadsSpec(
        once=row + column + matrix + cast, again=matrix, shared=matrix
    )
