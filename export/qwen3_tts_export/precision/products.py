"""Put nodes into a graph that multiply by matrices of whole numbers."""

from collections.abc import Callable, Mapping

import ml_dtypes
import numpy as np
import numpy.typing as npt
from onnx_ir.tape import Tape
from onnxscript import ir

from qwen3_tts_edge.arrays import Array
from qwen3_tts_export.precision.blocks import largest
from qwen3_tts_export.precision.policy import Products

Add = Callable[[str, Array], ir.Value]

_CONTRIB = "com.microsoft"
_ACCURACY_LEVEL = 4  # int8 products on the CPU; without it the same node is 60 times slower
_TYPED_SCALES = 21  # the first opset whose DequantizeLinear gives any type, that of its scales


def scale_type(value: ir.Value, *, contrib: bool) -> ir.DataType:
    """Choose the type of a weight's scales: the weight's own, if the graph's operation takes it."""
    assert value.dtype is not None
    if contrib or _graph(value).opset_imports[""] >= _TYPED_SCALES:
        return value.dtype
    return ir.DataType.FLOAT


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
        matmul.op_type, matmul.domain = "MatMulNBits", _CONTRIB
        matmul.resize_inputs(3)
        for place, new in enumerate(stored, start=1):
            matmul.replace_input_with(place, new)
        for name, number in attributes.items():
            matmul.attributes[name] = ir.AttrInt64(name, number)


def matmul_integer(
    value: ir.Value, numbers: npt.NDArray[np.int8], scales: Array, bits: int, add: Add
) -> None:
    """Let each MatMul by a weight multiply whole numbers: its rows are rounded too, a scale each.

    That is the row's largest number, so nothing of a row depends on others, and sums of whole
    numbers are the same in any order: a row's result is the same to the last bit in any batch.
    A row of nothing but 0 is 0 / 0 on the way, and times its largest number 0 again.

    Args:
        value: The weight in the graph, of shape (in, out).
        numbers: From a `Rounder`.
        scales: float32 (1, out).
        bits: Of the numbers, 8.
        add: Adds an initializer to the graph.
    """
    graph, most = _graph(value), np.float32(largest(bits))
    last, step, one, middle = (
        graph.initializers.get(name) or add(name, np.asarray(number))
        for name, number in (
            ("rows.last", np.array([-1])),
            ("rows.step", 1 / most),
            ("rows.one", np.float32(1)),
            ("rows.middle", np.uint8(128)),  # so that they are uint8, whose products are fastest
        )
    )
    stored = [
        add(f"{value.name}.int{bits}", numbers),
        add(f"{value.name}.scales", scales[0] / most),
    ]
    for matmul, _ in list(value.uses()):
        assert matmul.op_type == "MatMul"
        rows, tape = matmul.inputs[0], Tape()
        most_of_row = tape.op("ReduceMax", [tape.op("Abs", [rows]), last], {"keepdims": 1})
        shares = tape.op("Div", [rows, most_of_row])
        # Not ONNX's own: of that, ONNX Runtime 1.23 has no kernel for opset 23.
        whole = tape.op("QuantizeLinear", [shares, step, middle], domain=_CONTRIB)
        weight, columns = stored
        of_numbers = [whole, weight, one, columns, middle]
        product = tape.op("MatMulIntegerToFloat", of_numbers, domain=_CONTRIB)
        graph.insert_before(matmul, tape.nodes)
        matmul.op_type = "Mul"
        matmul.replace_input_with(0, product)
        matmul.replace_input_with(1, most_of_row)


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


REPLACE: Mapping[Products, Callable[..., None]] = {
    "blocks": matmul_nbits,
    "rows": matmul_integer,
    "portable": dequantize_linear,
}
"""What puts the nodes of each kind of product in the place of a weight."""
