"""Fill a traced graph with its weights and write it: one weight in memory at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import onnx
from onnxscript import ir

from qwen3_tts_export import quantize
from qwen3_tts_export.modules.layers import Weights

_INLINE = 16 * 1024  # bytes; smaller weights stay in the .onnx file
_ALIGNMENT = 4096  # so that the runtime can map the file into memory


def write_graph(
    model: ir.Model,
    weights: Weights,
    precision: str,
    path: Path,
    on_weight: Callable[[int], None],
) -> list[Path]:
    """Write a graph as `path` and its weights beside it, `.onnx` replaced by `.data`.

    Args:
        model: From `trace`; filled in place.
        weights: Makers of every initializer that has no value yet.
        precision: One of `quantize.PRECISIONS`.
        path: Where the `.onnx` file goes; its folder exists.
        on_weight: Called after each weight with the bytes read of it in float32.

    Returns:
        The files written.
    """
    data = path.with_suffix(".data")
    with data.open("wb") as file:
        for name, make in weights.items():
            array = make().numpy()
            value = model.graph.initializers[name]
            if quantize.is_quantized(name, array.shape, precision):
                packed, scales = quantize.pack(*quantize.to_int8(array))
                new = [
                    _initializer(model, f"{name}.int8", packed, file, data),
                    _initializer(model, f"{name}.scales", scales, file, data),
                ]
                for matmul, _ in list(value.uses()):
                    quantize.matmul_nbits(matmul, *new)
                model.graph.initializers.pop(name)
            elif quantize.is_halved(array, precision):
                model.graph.initializers.pop(name)
                half = array.astype(quantize.HALF)
                _widen(model, value, _initializer(model, f"{name}.bf16", half, file, data))
            else:
                value.const_value = _stored(name, array, file, data)
                value.shape = ir.Shape(array.shape)
            on_weight(array.nbytes)
    model.graph.opset_imports["com.microsoft"] = 1
    onnx.save(ir.to_proto(model), path)
    return [path, data]


def _widen(model: ir.Model, value: ir.Value, stored: ir.Value) -> None:
    """Let `stored`, the same numbers in bfloat16, stand for `value`.

    A table is looked up in bfloat16 and the rows that were found are widened, so that the table
    itself stays mapped from the file; the runtime widens other weights once, when it loads them.
    """
    for node, place in list(value.uses()):
        if node.op_type == "Gather" and place == 0:
            found = node.outputs[0]
            widened = _cast(found)
            found.replace_all_uses_with(widened.outputs[0])
            widened.replace_input_with(0, found)
            node.replace_input_with(0, stored)
            found.dtype = ir.DataType.BFLOAT16
            model.graph.insert_after(node, widened)
    if value.uses():
        widened = _cast(stored)
        value.replace_all_uses_with(widened.outputs[0])
        model.graph.insert_before(model.graph[0], widened)


def _cast(value: ir.Value) -> ir.Node:
    node = ir.node("Cast", [value], attributes={"to": ir.DataType.FLOAT})
    wide = node.outputs[0]
    wide.name, wide.shape, wide.dtype = f"{value.name}.float32", value.shape, ir.DataType.FLOAT
    return node


def _initializer(
    model: ir.Model, name: str, array: npt.NDArray[np.generic], file: BinaryIO, data: Path
) -> ir.Value:
    tensor = _stored(name, array, file, data)
    value = ir.Value(
        name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    model.graph.register_initializer(value)
    return value


def _stored(
    name: str, array: npt.NDArray[np.generic], file: BinaryIO, data: Path
) -> ir.TensorProtocol:
    array = np.ascontiguousarray(array)
    if array.nbytes <= _INLINE:
        return ir.tensor(array, name=name)
    file.write(b"\0" * (-file.tell() % _ALIGNMENT))
    offset = file.tell()
    file.write(array.view(np.uint8).data)  # bfloat16 has no buffer of its own
    return ir.ExternalTensor(
        location=data.name,
        offset=offset,
        length=array.nbytes,
        dtype=ir.DataType.from_numpy(array.dtype),
        shape=ir.Shape(array.shape),
        name=name,
        base_dir=data.parent,
    )
