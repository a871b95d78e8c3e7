"""Round matrices to int8, and put the nodes into a graph that compute with them."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from onnxscript import ir

from qwen3_tts_edge.arrays import Array

Add = Callable[[str, Array], ir.Value]

# Inputs that are rounded together in MatMulNBits. Up to 64 a row's result is the same to the last
# bit whatever the batch; from 128 on it is not, and one flipped rounding is another utterance.
_BLOCK, _SMALLEST_BLOCK = 64, 16
_ACCURACY_LEVEL = 4  # int8 products on the CPU; without it the same node is 60 times slower
_TYPED_SCALES = 21  # the first opset whose DequantizeLinear gives any type, that of its scales


def has_blocks(shape: tuple[int, ...]) -> bool:
    """Tell whether a matrix's inputs (in, out) can be cut into blocks, as MatMulNBits needs."""
    return math.gcd(shape[0], _BLOCK) >= _SMALLEST_BLOCK


def scale_type(value: ir.Value, *, contrib: bool) -> ir.DataType:
    """Choose the type of a weight's scales: the weight's own, if the graph's operation takes it."""
    assert value.dtype is not None
    if contrib or _graph(value).opset_imports[""] >= _TYPED_SCALES:
        return value.dtype
    return ir.DataType.FLOAT


def scales_of(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Compute one symmetric scale for each output column of a matrix (in, out): float32 (out,)."""
    scales: npt.NDArray[np.float32] = np.abs(weight).max(axis=0) / np.float32(127)
    return scales


def never_zero(scales: Array) -> Array:
    """Replace scales of 0, which TensorRT refuses, by 1.

    The int8 numbers of such a column are 0, see `to_int8`.
    """
    return np.where(scales == 0, np.ones_like(scales), scales)


def to_int8(weight: npt.NDArray[np.float32], scales: Array) -> npt.NDArray[np.int8]:
    """Round a matrix (in, out) to int8 in -127..127: weight ≈ int8 * scales (out,).

    Give the scales as they are stored: the numbers then make up for what rounding the scales lost.
    """
    numbers = np.rint(weight / scales.astype(np.float32)).clip(-127, 127)
    rounded: npt.NDArray[np.int8] = numbers.astype(np.int8)
    return rounded


def dequantize_linear(
    value: ir.Value, numbers: npt.NDArray[np.int8], scales: Array, add: Add
) -> None:
    """Replace a weight by DequantizeLinear, which TensorRT keeps in int8 before a MatMul.

    Args:
        value: The weight in the graph, of shape (in, out).
        numbers: From `to_int8`.
        scales: (out,), of `scale_type`. If that is not the weight's type, a Cast comes after it.
        add: Adds an initializer to the graph.
    """
    stored = [add(f"{value.name}.int8", numbers), add(f"{value.name}.scales", scales)]
    whole = ir.Value(name=f"{value.name}.whole", shape=value.shape, type=stored[1].type)
    dequantize = {"axis": 1}
    nodes = [ir.node("DequantizeLinear", stored, dequantize, outputs=[whole], name=whole.name)]
    if whole.dtype != value.dtype:
        cast = ir.Value(name=f"{value.name}.cast", shape=value.shape, type=value.type)
        to = {"to": value.dtype}
        nodes.append(ir.node("Cast", [whole], to, outputs=[cast], name=cast.name))
    graph = _graph(value)
    value.replace_all_uses_with(nodes[-1].outputs[0])
    graph.insert_before(graph[0], nodes)


def matmul_nbits(value: ir.Value, numbers: npt.NDArray[np.int8], scales: Array, add: Add) -> None:
    """Turn each MatMul by a weight into ONNX Runtime's MatMulNBits.

    The portable form, DequantizeLinear before MatMul, is fused to this very node when a weight
    has one use. The code predictor uses each weight fifteen times; then nothing is fused, and
    the frame unpacks 15 x 79 M weights to float32 on every launch.

    Arguments are those of `dequantize_linear`.
    """
    packed, scales = pack(numbers, scales)
    stored = [add(f"{value.name}.int8", packed), add(f"{value.name}.scales", scales)]
    outputs, blocks, block = packed.shape
    attributes = {
        "K": blocks * block,
        "N": outputs,
        "bits": 8,
        "block_size": block,
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


def pack(weight: npt.NDArray[np.int8], scales: Array) -> tuple[npt.NDArray[np.uint8], Array]:
    """Lay an int8 matrix out as MatMulNBits reads it, its numbers unchanged.

    Args:
        weight: int8 (in, out), from `to_int8`.
        scales: (out,), in the type of the products.

    Returns:
        uint8 (out, blocks, block), offset by 128, and scales (out, blocks).
    """
    inputs, outputs = weight.shape
    block = math.gcd(inputs, _BLOCK)
    packed = (weight.T.astype(np.int16) + 128).astype(np.uint8)
    packed = packed.reshape(outputs, inputs // block, block)
    return packed, np.repeat(scales[:, None], inputs // block, axis=1)


def _graph(value: ir.Value) -> ir.Graph:
    graph = next(node for node, _ in value.uses()).graph
    assert isinstance(graph, ir.Graph)
    return graph
