"""Fill a traced graph with its weights and write it: one weight in memory at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import onnx
from onnxscript import ir

from qwen3_tts_edge.arrays import Array
from qwen3_tts_export.modules.layers import Weights
from qwen3_tts_export.precision import blocks as quantize
from qwen3_tts_export.precision import products
from qwen3_tts_export.precision.blocks import Floats
from qwen3_tts_export.precision.policy import Precision
from qwen3_tts_export.precision.rounding import Rounding, numpy_type

HALF = numpy_type("bfloat16")
_INLINE = 16 * 1024  # bytes; smaller weights stay in the .onnx file
_ALIGNMENT = 4096  # so that the runtime can map the file into memory


def write_graph(
    model: ir.Model,
    weights: Weights,
    precision: Precision,
    path: Path,
    on_weight: Callable[[int], None],
    rounder: quantize.Rounder = quantize.nearest,
) -> Rounding:
    """Write a graph as `path` and its weights beside it, `.onnx` replaced by `.data`.

    Args:
        model: From `trace`; filled in place. Its initializers have the types to convert to.
        weights: Makers of every initializer that has no value yet.
        precision: What it was traced in.
        path: Where the `.onnx` file goes; its folder exists.
        on_weight: Called after each weight with the bytes read of it in float32.
        rounder: Rounds the matrices that the precision wants in whole numbers.

    Returns:
        What was rounded to narrower types than float32.

    Raises:
        CheckpointError: A weight does not fit into its type.
    """
    data, rounding = path.with_suffix(".data"), Rounding()
    with data.open("wb") as file:

        def add(name: str, array: npt.NDArray[np.generic]) -> ir.Value:
            return _initializer(model, name, array, file, data)

        for name, make in weights.items():
            array = make().numpy()
            size, value = array.nbytes, model.graph.initializers[name]
            value.shape = ir.Shape(array.shape)
            blocks = precision.blocks_of(name)
            if blocks and (block := quantize.block_of(len(array), blocks)):
                kind = _name(products.scale_type(value, contrib=precision.products != "portable"))

                def stored(scales: Floats, name: str = name, kind: str = kind) -> Array:
                    return quantize.never_zero(rounding.convert(name, scales, kind))

                matrix = quantize.Matrix(name, array, blocks.bits, block, stored)
                numbers, scales = rounder(matrix)
                products.REPLACE[precision.products](value, numbers, scales, blocks.bits, add)
                model.graph.initializers.pop(name)
            elif precision.lossless_halves and _is_lossless(array):
                model.graph.initializers.pop(name)
                _widen(model, value, add(f"{name}.bf16", array.astype(HALF)))
            else:
                kept = rounding.convert(name, array, _name(value.dtype))
                value.const_value = _stored(name, kept, file, data)
            on_weight(size)
    onnx.save(ir.to_proto(model), path)
    return rounding


def _is_lossless(weight: npt.NDArray[np.float32]) -> bool:
    """Whether bfloat16 holds all its numbers, as it does those of the released checkpoints."""
    return bool((weight == weight.astype(HALF).astype(np.float32)).all())


def _name(dtype: ir.DataType | None) -> str:
    assert dtype is not None
    return str(dtype.numpy().name)


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
    name = f"{value.name}.float32"
    node = ir.node("Cast", [value], attributes={"to": ir.DataType.FLOAT}, name=name)
    wide = node.outputs[0]
    wide.name, wide.shape, wide.dtype = name, value.shape, ir.DataType.FLOAT
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
    inline = ir.Tensor(np.asarray(array, order="C"), name=name)
    if inline.nbytes <= _INLINE:
        return inline
    file.write(b"\0" * (-file.tell() % _ALIGNMENT))
    offset = file.tell()
    # Not `tofile`: NumPy says of a full disk how much it wrote, and not what is wrong. The bytes
    # are not the array's, for two numbers of four bits are one.
    file.write(inline.tobytes())
    return ir.ExternalTensor(
        location=data.name,
        offset=offset,
        length=inline.nbytes,
        dtype=ir.DataType.from_numpy(array.dtype),
        shape=ir.Shape(array.shape),
        name=name,
        base_dir=data.parent,
    )
