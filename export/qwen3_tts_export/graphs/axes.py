"""Shapes in a traced graph: written down where they are known, asked for once where they are not.

The tracer computes each shape that has a dynamic axis in it. A runtime that keeps numbers on a GPU
computes them on the host, and has to wait for the one or copy to the other.
"""

from onnxscript import ir


def write_down_shapes(model: ir.Model) -> None:
    """Give each Reshape a constant shape if it can have one, and each dynamic axis one Shape node.

    In a constant, 0 keeps the axis that is there, and -1 is the one that is left over.
    """
    asked: dict[str, ir.Value] = {}
    for node in list(model.graph):
        if node.op_type == "Reshape":
            _write_down(model, node)
        elif node.op_type == "Shape" and (name := _dynamic_axis(node)) is not None:
            known = asked.setdefault(name, node.outputs[0])
            if known is not node.outputs[0]:
                node.outputs[0].replace_all_uses_with(known)


def _write_down(model: ir.Model, reshape: ir.Node) -> None:
    value, shape = reshape.inputs
    made = reshape.outputs[0]
    assert value is not None
    assert shape is not None
    if shape.const_value is not None or value.shape is None or made.shape is None:
        return
    sizes = [_size(axis, list(value.shape)[i : i + 1]) for i, axis in enumerate(made.shape)]
    if sizes.count(-1) > 1:
        return
    constant = ir.Value(
        name=f"{made.name}.shape",
        shape=ir.Shape([len(sizes)]),
        type=ir.TensorType(ir.DataType.INT64),
        const_value=ir.tensor(sizes, dtype=ir.DataType.INT64, name=f"{made.name}.shape"),
    )
    model.graph.register_initializer(constant)
    reshape.replace_input_with(1, constant)
    reshape.attributes.pop("allowzero", None)


def _size(axis: int | ir.SymbolicDim, same_place: list[int | ir.SymbolicDim]) -> int:
    if isinstance(axis, int):
        return axis
    return 0 if axis.value is not None and [axis] == same_place else -1


def _dynamic_axis(shape: ir.Node) -> str | None:
    """The name of the one dynamic axis that a Shape node asks for."""
    value = shape.inputs[0]
    start, end = (shape.attributes.get(name) for name in ("start", "end"))
    if value is None or value.shape is None or start is None or end is None:
        return None
    axes = value.shape[start.as_int() : end.as_int()]
    if len(axes) != 1 or isinstance(axes[0], int):
        return None
    name: str | None = axes[0].value
    return name
