"""Round matrices to whole numbers, and put nodes into a graph that compute with them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import ml_dtypes
import numpy as np
import numpy.typing as npt
from onnxscript import ir

from qwen3_tts_edge.arrays import Array
from qwen3_tts_export.precision.policy import Blocks

Floats = npt.NDArray[np.float32]
Add = Callable[[str, Array], ir.Value]

_SMALLEST_BLOCK = 16  # that MatMulNBits takes
_ACCURACY_LEVEL = 4  # int8 products on the CPU; without it the same node is 60 times slower
_TYPED_SCALES = 21  # the first opset whose DequantizeLinear gives any type, that of its scales


@dataclass(frozen=True)
class Matrix:
    """A matrix that is to be rounded to whole numbers.

    Attributes:
        name: What the graphs call it.
        weight: (in, out).
        bits: Of the numbers.
        block: Inputs that share a scale.
        stored: Makes scales what they are stored as.
    """

    name: str
    weight: Floats
    bits: int
    block: int
    stored: Callable[[Floats], Array]


Rounder: TypeAlias = Callable[[Matrix], tuple[npt.NDArray[np.int8], Array]]
"""Rounds a matrix: numbers int8 (in, out), and scales (in / block, out) as stored."""


def nearest(matrix: Matrix) -> tuple[npt.NDArray[np.int8], Array]:
    """Round each weight to the nearest number: a `Rounder`."""
    scales = matrix.stored(scales_of(matrix.weight, matrix.bits, matrix.block))
    return to_numbers(matrix.weight, scales, matrix.bits), scales


def block_of(inputs: int, blocks: Blocks) -> int:
    """Find how many of a matrix's inputs share a scale, where their number has no larger divisor.

    Returns:
        A power of two, unless it is all of them; 0 where they cannot be cut into blocks.
    """
    block = math.gcd(inputs, blocks.size)
    return block if block >= _SMALLEST_BLOCK else 0


def scale_type(value: ir.Value, *, contrib: bool) -> ir.DataType:
    """Choose the type of a weight's scales: the weight's own, if the graph's operation takes it."""
    assert value.dtype is not None
    if contrib or _graph(value).opset_imports[""] >= _TYPED_SCALES:
        return value.dtype
    return ir.DataType.FLOAT


def scales_of(weight: Floats, bits: int, block: int) -> Floats:
    """Compute the symmetric scales of a matrix (in, out).

    Args:
        weight: It.
        bits: Of its numbers.
        block: Inputs that share a scale.

    Returns:
        float32 (in / block, out).
    """
    cut = weight.reshape(-1, block, weight.shape[1])
    scales: Floats = np.abs(cut).max(axis=1) / np.float32(_largest(bits))
    return scales


def never_zero(scales: Array) -> Array:
    """Replace scales of 0, which TensorRT refuses, by 1.

    The numbers of such a block are 0, see `to_numbers`.
    """
    return np.where(scales == 0, np.ones_like(scales), scales)


def to_numbers(weight: Floats, scales: Array, bits: int = 8) -> npt.NDArray[np.int8]:
    """Round a matrix (in, out) to numbers: weight ≈ numbers * scales, as `whole` computes it.

    Give the scales as they are stored: the numbers then make up for what rounding the scales lost.

    Returns:
        int8 (in, out), in -127..127 for 8 bits and -7..7 for 4.
    """
    most = _largest(bits)
    spread = np.repeat(scales.astype(np.float32), len(weight) // len(scales), axis=0)
    rounded: npt.NDArray[np.int8] = np.rint(weight / spread).clip(-most, most).astype(np.int8)
    return rounded


def whole(numbers: npt.NDArray[np.int8], scales: Array) -> Floats:
    """Compute what a rounded matrix stands for, float32 (in, out)."""
    spread = np.repeat(scales.astype(np.float32), len(numbers) // len(scales), axis=0)
    matrix: Floats = numbers * spread
    return matrix


def _largest(bits: int) -> int:
    return (1 << (bits - 1)) - 1


def dequantize_linear(
    value: ir.Value, numbers: npt.NDArray[np.int8], scales: Array, bits: int, add: Add
) -> None:
    """Replace a weight by DequantizeLinear, which TensorRT keeps in few bits before a MatMul.

    Args:
        value: The weight in the graph, of shape (in, out).
        numbers: From a `Rounder`.
        scales: (in / block, out), of `scale_type`. If that is not the weight's type, a Cast comes
            after it.
        bits: Of the numbers.
        add: Adds an initializer to the graph.
    """
    blocks = len(scales)
    dequantize = {"axis": 0, "block_size": len(numbers) // blocks} if blocks > 1 else {"axis": 1}
    stored = [
        add(f"{value.name}.int{bits}", numbers.astype(ml_dtypes.int4) if bits == 4 else numbers),
        add(f"{value.name}.scales", scales if blocks > 1 else scales[0]),
    ]
    matrix = ir.Value(name=f"{value.name}.whole", shape=value.shape, type=stored[1].type)
    nodes = [ir.node("DequantizeLinear", stored, dequantize, outputs=[matrix], name=matrix.name)]
    if matrix.dtype != value.dtype:
        cast = ir.Value(name=f"{value.name}.cast", shape=value.shape, type=value.type)
        to = {"to": value.dtype}
        nodes.append(ir.node("Cast", [matrix], to, outputs=[cast], name=cast.name))
    graph = _graph(value)
    value.replace_all_uses_with(nodes[-1].outputs[0])
    graph.insert_before(graph[0], nodes)


def matmul_nbits(
    value: ir.Value, numbers: npt.NDArray[np.int8], scales: Array, bits: int, add: Add
) -> None:
    """Turn each MatMul by a weight into ONNX Runtime's MatMulNBits.

    The portable form, DequantizeLinear before MatMul, is fused to this very node when a weight
    has one use. The code predictor uses each weight fifteen times; then nothing is fused, and
    the frame unpacks 15 x 79 M weights to float32 on every launch.

    Args:
        value: The weight in the graph, of shape (in, out).
        numbers: From a `Rounder`.
        scales: (in / block, out), in the type of the products.
        bits: Of the numbers.
        add: Adds an initializer to the graph.
    """
    packed = pack(numbers, len(numbers) // len(scales), bits)
    by_column = np.ascontiguousarray(scales.T)
    stored = [add(f"{value.name}.int{bits}", packed), add(f"{value.name}.scales", by_column)]
    inputs, outputs = numbers.shape
    attributes = {
        "K": inputs,
        "N": outputs,
        "bits": bits,
        "block_size": inputs // len(scales),
        "accuracy_level": _ACCURACY_LEVEL,
    }
    for matmul, _ in list(value.uses()):
        assert matmul.op_type == "MatMul"
        matmul.op_type, matmul.domain = "MatMulNBits", "com.microsoft"
        matmul.resize_inputs(3)
        for place, new in enumerate(stored, start=1):
            matmul.replace_input_with(place, new)
        for name, number in attributes.items():
            matmul.attributes[name] = ir.AttrInt64(name, number)


def pack(numbers: npt.NDArray[np.int8], block: int, bits: int) -> npt.NDArray[np.uint8]:
    """Lay rounded numbers out as MatMulNBits reads them.

    Args:
        numbers: int8 (in, out), from a `Rounder`.
        block: Inputs that share a scale.
        bits: 8, or 4: then two lie in a byte, the first in its lower half.

    Returns:
        uint8 (out, in / block, block * bits / 8), offset by half of what the bits can hold.
    """
    inputs, outputs = numbers.shape
    offset = (numbers.T.astype(np.int16) + (1 << (bits - 1))).astype(np.uint8)
    cut = offset.reshape(outputs, inputs // block, block)
    packed: npt.NDArray[np.uint8] = cut if bits == 8 else cut[:, :, 0::2] | cut[:, :, 1::2] << 4
    return packed


def _graph(value: ir.Value) -> ir.Graph:
    graph = next(node for node, _ in value.uses()).graph
    assert isinstance(graph, ir.Graph)
    return graph
