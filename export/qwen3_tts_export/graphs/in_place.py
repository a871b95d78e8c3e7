"""Proof that a graph may write its next state over its last one."""

from collections.abc import Iterable, Iterator

from onnxscript import ir

from qwen3_tts_edge.bundle.graph_spec import StateSpec

# These read and write one position at a time, or are made to run on one shared buffer.
_SAFE_ONTO_ITSELF = {"GroupQueryAttention", "Or", "ScatterElements", "TensorScatter", "Where"}
# A runtime may let their output share their input's buffer: whoever reads one reads the other.
_VIEWS = {"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}


def may_run_in_place(model: ir.Model, states: Iterable[StateSpec]) -> bool:
    """Whether every past may share its buffer with its present.

    It may if, in whatever order a runtime launches the nodes, nobody reads the past after the
    present is written: every reader of the past, or of a view of it, must come before the node
    that makes the present, or be that node and be safe on a shared buffer.
    """
    inputs = {value.name: value for value in model.graph.inputs}
    outputs = {value.name: value for value in model.graph.outputs}
    return all(_is_safe(inputs[s.past.name], outputs[s.present]) for s in states)


def _is_safe(past: ir.Value, present: ir.Value) -> bool:
    maker = present.producer()
    if maker is None:
        return False
    before = _ancestors(maker)
    return all(
        reader.op_type in _SAFE_ONTO_ITSELF if reader is maker else reader in before
        for reader in _readers(past)
    )


def _readers(value: ir.Value) -> Iterator[ir.Node]:
    for reader, _ in value.uses():
        if reader.op_type == "Shape":  # it does not look inside
            continue
        yield reader
        if reader.op_type in _VIEWS:
            yield from _readers(reader.outputs[0])


def _ancestors(node: ir.Node) -> set[ir.Node]:
    found: set[ir.Node] = set()
    ahead = [node]
    while ahead:
        for value in ahead.pop().inputs:
            maker = value.producer() if value is not None else None
            if maker is not None and maker not in found:
                found.add(maker)
                ahead.append(maker)
    return found
