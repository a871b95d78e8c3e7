"""What TensorRT silently ignores or refuses, as rules that a graph can be held against.

Sources: docs/operators.md of onnx/onnx-tensorrt, NvInfer.h, and what TensorRT-RTX 1.7 said when it
was given such graphs.
"""

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

MOST_SORTED = 3840
"""K of TopK."""

# Chosen by numbers that TensorRT does not take from the graph, sized by numbers it does not know
# before it launches, not there at all, or a loop before 10.8 (CumSum).
FORBIDDEN = {
    "CumSum",
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
    "If", "Loop", "Scan",
    "Compress", "NonZero", "Unique", "OneHot",
}  # fmt: skip

# Inputs that say how large something is: from constants and shapes alone.
SIZES = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Slice": (1, 2),
    "Tile": (1,),
}
# Inputs that must be written down in the graph.
CONSTANT = {
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "ReduceSum": (1,),
    "Slice": (3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
}
_FROM_SHAPES = {
    "Add", "Cast", "Concat", "Div", "Gather", "Mul", "Reshape", "Shape", "Slice", "Squeeze", "Sub",
    "Unsqueeze",
}  # fmt: skip


class Reading:
    """A graph with its weights left in their file."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.initializers = {value.name: value for value in model.graph.initializer}
        self.makers = {name: node for node in model.graph.node for name in node.output}
        self.inputs = {value.name for value in model.graph.input}
        self.outputs = {value.name for value in model.graph.output}

    def constant(self, name: str) -> np.ndarray | None:
        value = self.initializers.get(name)
        if value is None or value.data_location == TensorProto.EXTERNAL:
            return None
        return numpy_helper.to_array(value)

    def is_size(self, name: str) -> bool:
        """Whether a number is known before a launch: from constants and shapes alone."""
        if name in self.initializers:
            return True
        maker = self.makers.get(name)
        if maker is None or maker.op_type not in _FROM_SHAPES:
            return False
        return maker.op_type == "Shape" or all(self.is_size(x) for x in maker.input if x)


def attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def complaints(model: onnx.ModelProto) -> list[str]:
    """Everything in a graph that breaks a rule."""
    read = Reading(model)
    found = [f"opset {x.domain}" for x in model.opset_import if x.domain]
    found += ["functions"] * bool(model.functions)
    for value in model.graph.initializer:
        if value.data_type == TensorProto.DOUBLE:
            found.append(f"{value.name} is float64")
    for node in model.graph.node:
        if node.domain:
            found.append(f"{node.domain}.{node.op_type}")
        if node.op_type in FORBIDDEN:
            found.append(node.op_type)
        for at in SIZES.get(node.op_type, ()):
            if at < len(node.input) and node.input[at] and not read.is_size(node.input[at]):
                found.append(f"{node.op_type} of a size that is computed")
        for at in CONSTANT.get(node.op_type, ()):
            if at < len(node.input) and node.input[at] not in {"", *read.initializers}:
                found.append(f"{node.op_type}, input {at} is not constant")
        found += RULES.get(node.op_type, _none)(node, read)
    return found


def _none(_: onnx.NodeProto, __: Reading) -> Iterator[str]:
    yield from ()


def _attention(node: onnx.NodeProto, _: Reading) -> Iterator[str]:
    names = ("past_key", "past_value", "nonpad_kv_seqlen")
    for name, given in zip(names, node.input[4:], strict=False):
        if given:
            yield f"Attention with {name}"
    if len(node.output) > 1:
        yield f"Attention with {len(node.output)} outputs"
    if len(node.input) < 4 or not node.input[3]:
        yield "Attention without a mask"
    for name in attributes(node).keys() & {"is_causal", "softcap", "qk_matmul_output_mode"}:
        yield f"Attention with {name}"


def _tensor_scatter(node: onnx.NodeProto, read: Reading) -> Iterator[str]:
    if node.input[0] not in read.inputs:
        yield "TensorScatter onto what is not an input"
    if node.output[0] not in read.outputs:
        yield "TensorScatter whose output stays inside"
    if attributes(node).get("axis", -2) != -2 or attributes(node).get("mode") not in {
        None,
        b"linear",
    }:
        yield "TensorScatter along another axis or in a circle"


def _top_k(node: onnx.NodeProto, read: Reading) -> Iterator[str]:
    k = read.constant(node.input[1])
    if k is not None and k.item() > MOST_SORTED:
        yield f"TopK of {k.item()}"


def _dequantize(node: onnx.NodeProto, read: Reading) -> Iterator[str]:
    numbers, scale = (read.initializers.get(name) for name in node.input[:2])
    if numbers is None or scale is None:
        yield "DequantizeLinear of what is computed"
        return
    if numbers.data_type not in (TensorProto.INT8, TensorProto.INT4):
        yield "DequantizeLinear of another type than int8 and int4"
    blocked = attributes(node).get("block_size") or len(scale.dims) > 1
    if numbers.data_type == TensorProto.INT4:
        rows = numbers.dims[0] // (attributes(node).get("block_size") or numbers.dims[0])
        if attributes(node).get("axis", 1) != 0 or list(scale.dims) != [rows, numbers.dims[1]]:
            yield "DequantizeLinear of four bits, not by blocks of a column"
    elif blocked:
        yield "DequantizeLinear of int8 by blocks"
    elif attributes(node).get("axis", 1) != 1 or list(scale.dims) != [numbers.dims[1]]:
        yield "DequantizeLinear whose scales are not one a column"
    if len(node.input) > 2 and np.any(read.constant(node.input[2])):
        yield "DequantizeLinear with a zero point"


def _chained(node: onnx.NodeProto, read: Reading) -> Iterator[str]:
    makers = [read.makers.get(name) for name in node.input]
    if any(maker is not None and maker.op_type == node.op_type for maker in makers[:1]):
        yield f"{node.op_type} onto {node.op_type}"


RULES: dict[str, Callable[[onnx.NodeProto, Reading], Iterator[str]]] = {
    "Attention": _attention,
    "DequantizeLinear": _dequantize,
    "ScatterElements": _chained,
    "TensorScatter": _tensor_scatter,
    "TopK": _top_k,
}
