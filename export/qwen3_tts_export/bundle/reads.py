"""Count what a launch of a graph reads of its weights."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from onnxscript import ir

from qwen3_tts_edge.bundle.graph_spec import ReadsSpec

# Of these inputs a node reads one row, of all others everything: embeddings, rotations by position.
_ROWS = {"Gather": {0}, "GroupQueryAttention": {7, 8}, "RotaryEmbedding": {1, 2}}
# Computed once when a graph is loaded, if what they compute from is constant.
_FOLDED = {"Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}


@dataclass(frozen=True)
class _Weight:
    """A constant: the initializer it comes from, its shape, its type once it is loaded."""

    source: str
    shape: tuple[int, ...]
    dtype: ir.DataType

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.bitwidth // 8


def count_reads(model: ir.Model) -> ReadsSpec:
    """Count the bytes of weights that a launch reads.

    Every node reads its weights whole, but of tables a row. A weight behind a Cast is read as
    what it is cast to, because a runtime does that once. Weights packed in integers are read as
    they are.

    Args:
        model: With its weights; those of a file may stay in it.
    """
    weights = {
        value: _Weight(name, tuple(value.const_value.shape.numpy()), value.const_value.dtype)
        for name, value in model.graph.initializers.items()
        if value.const_value is not None
    }
    sizes: dict[str, int] = {}
    uses: Counter[str] = Counter()
    for node in model.graph:
        first = weights.get(node.inputs[0]) if node.inputs and node.inputs[0] is not None else None
        if node.op_type in _FOLDED and first is not None:
            weights[node.outputs[0]] = _folded(node, first)
            continue
        for source, nbytes in _read_by(node, weights):
            sizes[source] = max(nbytes, sizes.get(source, 0))
            uses[source] += 1
    return ReadsSpec(
        once=sum(sizes.values()),
        again=sum(sizes[name] * (count - 1) for name, count in uses.items()),
        shared=sum(sizes[name] for name, count in uses.items() if count > 1),
    )


def _folded(node: ir.Node, weight: _Weight) -> _Weight:
    if node.op_type != "Cast":
        return weight
    return replace(weight, dtype=ir.DataType(node.attributes["to"].as_int()))


def _read_by(node: ir.Node, weights: dict[ir.Value, _Weight]) -> Iterator[tuple[str, int]]:
    """Give the weights that a node reads, and the bytes of each."""
    for place, value in enumerate(node.inputs):
        if value is None or value not in weights:
            continue
        weight, rows = weights[value], 1
        if place in _ROWS.get(node.op_type, ()) and weight.shape:
            axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
            rows = max(weight.shape[axis], 1)
        yield weight.source, weight.nbytes // rows
