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
            else:
                value.const_value = _stored(name, array, file, data)
                value.shape = ir.Shape(array.shape)
            on_weight(array.nbytes)
    model.graph.opset_imports["com.microsoft"] = 1
    onnx.save(ir.to_proto(model), path)
    return [path, data]


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
    file.write(array.data)
    return ir.ExternalTensor(
        location=data.name,
        offset=offset,
        length=array.nbytes,
        dtype=ir.DataType.from_numpy(array.dtype),
        shape=ir.Shape(array.shape),
        name=name,
        base_dir=data.parent,
    )
