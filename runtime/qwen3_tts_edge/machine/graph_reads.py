"""What a launch of a graph reads of its weights, from the ONNX file alone.

The few fields of ONNX's protobuf that this takes are read here, so that nothing need be installed.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen3_tts_edge.errors import BundleError

Message = memoryview
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Numbers of fields and types, as onnx.proto has them.
_GRAPH, _NODE, _INITIALIZER = 7, 1, 5
_INPUT, _OUTPUT, _OP_TYPE, _ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INT = 1, 3
_DIMS, _DATA_TYPE, _TENSOR_NAME = 1, 2, 8
_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64,
         16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4}  # fmt: skip

# Of these inputs a node reads one row, of all others everything: embeddings, rotations by position.
_ROWS = {"Gather": {0}, "GroupQueryAttention": {7, 8}, "RotaryEmbedding": {1, 2}}
# Computed once when a graph is loaded, if what they compute from is constant.
_FOLDED = {"Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}


@dataclass(frozen=True)
class Reads:
    """Bytes of weights that one launch reads.

    Attributes:
        once: Of the weights that one node reads, or of each weight its first time.
        again: Of weights that were read before in this launch.
        shared: Of the weights that are read more than once, each counted once: what a cache would
            have to hold to make `again` cheap.
    """

    once: int = 0
    again: int = 0
    shared: int = 0

    @property
    def total(self) -> int:
        """All reads, if nothing stays in a cache."""
        return self.once + self.again

    def __add__(self, other: "Reads") -> "Reads":
        return Reads(self.once + other.once, self.again + other.again, self.shared + other.shared)

    def repeated(self, times: int) -> "Reads":
        """What so many launches in a row read: nothing new after the first."""
        return Reads(self.once, times * self.total - self.once, self.once)


@dataclass
class _Weight:
    """A constant: the initializer it comes from, its shape, bits an element once it is loaded."""

    source: str
    shape: tuple[int, ...]
    bits: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.bits // 8


def graph_reads(path: Path) -> Reads:
    """Count what a launch of an ONNX graph reads of its weights.

    Every node reads its weights whole, but of tables a row. A weight behind a Cast is read as
    what it is cast to, because a runtime does that once. Weights packed in integers are read as
    they are.

    Raises:
        BundleError: Not an ONNX file, or damaged.
    """
    try:
        return _count(memoryview(path.read_bytes()))
    except (IndexError, KeyError, ValueError) as error:
        raise BundleError(f"{path} is not a readable ONNX graph: {error!r}") from error


def _count(data: Message) -> Reads:
    (graph,) = (value for number, value in _fields(data) if number == _GRAPH)
    weights: dict[str, _Weight] = {}
    for number, value in _fields(graph):
        if number == _INITIALIZER:
            weight = _initializer(value)
            weights[weight.source] = weight
    sizes: dict[str, int] = {}
    uses: Counter[str] = Counter()
    for number, value in _fields(graph):
        if number == _NODE:
            for weight, nbytes in _read_by(value, weights):
                sizes[weight.source] = max(nbytes, sizes.get(weight.source, 0))
                uses[weight.source] += 1
    return Reads(
        once=sum(sizes.values()),
        again=sum(sizes[name] * (count - 1) for name, count in uses.items()),
        shared=sum(sizes[name] for name, count in uses.items() if count > 1),
    )


def _read_by(node: Message, weights: dict[str, _Weight]) -> Iterator[tuple[_Weight, int]]:
    """The weights that a node reads, and how much of each; a folded node makes another weight."""
    inputs, outputs, kind = [], [], ""
    attributes: dict[str, int] = {}
    for number, value in _fields(node):
        if number == _INPUT:
            inputs.append(str(value, "utf-8"))
        elif number == _OUTPUT:
            outputs.append(str(value, "utf-8"))
        elif number == _OP_TYPE:
            kind = str(value, "utf-8")
        elif number == _ATTRIBUTE:
            parts = dict(_fields(value))
            attributes[str(parts[_ATTRIBUTE_NAME], "utf-8")] = parts.get(_ATTRIBUTE_INT, 0)
    first = weights.get(inputs[0]) if inputs else None
    if kind in _FOLDED and first is not None:
        bits = _BITS[attributes["to"]] if kind == "Cast" else first.bits
        weights[outputs[0]] = _Weight(first.source, first.shape, bits)
        return
    for place, name in enumerate(inputs):
        if name in weights:
            weight = weights[name]
            rows = 1
            if place in _ROWS.get(kind, ()) and weight.shape:
                rows = max(weight.shape[attributes.get("axis", 0)], 1)
            yield weight, weight.nbytes // rows


def _initializer(data: Message) -> _Weight:
    name, bits, shape = "", 0, []
    for number, value in _fields(data):
        if number == _TENSOR_NAME:
            name = str(value, "utf-8")
        elif number == _DATA_TYPE:
            bits = _BITS[value]
        elif number == _DIMS:
            shape += [value] if isinstance(value, int) else list(_varints(value))
    return _Weight(name, tuple(shape), bits)


def _fields(data: Message) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message: numbers as they are, all else as bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"a field of kind {kind}")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: Message, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varints(data: Message) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value
