"""Torch network → ONNX graph, weights not yet in it.

The network is traced with fake tensors: shapes without numbers. A full-size checkpoint therefore
costs no memory here, and the weights are filled in one at a time when the bundle is written.
"""

import gc
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from onnx_ir.passes import common
from onnxscript import ir, opset18
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from qwen3_tts_edge.bundle.graph_spec import TensorSpec
from qwen3_tts_export.graphs import calls
from qwen3_tts_export.graphs.axes import write_down_shapes
from qwen3_tts_export.graphs.declared import Graph
from qwen3_tts_export.graphs.flavours import FLAVOURS, Flavour
from qwen3_tts_export.graphs.flavours.contrib import SKIP_NORM
from qwen3_tts_export.graphs.once import once
from qwen3_tts_export.graphs.parts import PARTS
from qwen3_tts_export.graphs.simplified import simplify
from qwen3_tts_export.modules import ordered_sum  # noqa: F401  which registers the operation

CALL, ORDERED_SUM = torch.ops.qwen3_tts.call.default, torch.ops.qwen3_tts.ordered_sum.default

# Sizes to trace with: none may be 0 or 1, which torch takes for a constant, nor equal another; nor
# may what is computed from them, as the 14 positions and 7 frames of 13001 samples.
_EXAMPLE = {
    "batch": 2,
    "rows": 3,
    "frames": 5,
    "capacity": 64,
    "samples": 13001,
    "mel_frames": 47,
    "talker_ranks": 11,
    "predictor_ranks": 17,
}

# Of these torch.export may say from how many on its trace is sure to hold, such as 1921 samples,
# where other axes must hold for any number. The graph knows no such limit and is tested below it.
_LENGTHS = ("samples", "mel_frames")


def trace(graph: Graph, flavour: str) -> ir.Model:
    """Trace a graph's network.

    Args:
        graph: What to trace.
        flavour: One of `flavours.FLAVOURS`.

    Returns:
        The model: inputs, outputs and states named as `graph` says, one initializer without value
        for each of the network's parameters, named like the parameter.

    Raises:
        AssertionError: The traced graph does not have the declared inputs and outputs.
    """
    wanted = FLAVOURS[flavour]
    states = [state.past for state in graph.states]
    axes: dict[str, Any] = {axis: torch.export.Dim(axis) for axis in _EXAMPLE}
    axes |= dict.fromkeys(_LENGTHS, torch.export.Dim.DYNAMIC)
    shapes: tuple[Any, ...] = tuple(_dynamic(spec, axes) for spec in graph.inputs)
    opset = wanted.opset_of(graph.name)
    with _undisturbed(), once(), FakeTensorMode():
        network = graph.network().eval().requires_grad_(requires_grad=False)
        examples: tuple[Any, ...] = tuple(map(_example, graph.inputs))
        if states:
            examples += ([_example(spec) for spec in states],)
            shapes += ([_dynamic(spec, axes) for spec in states],)
        with calls.functions_of(network) as functions:
            model = _converted(network, (examples, shapes), wanted, opset)
            bodies = {
                name: _converted(function, _again(function.examples, axes), wanted, opset)
                for name, function in functions.items()
            }
            if bodies:
                calls.write_out(model, bodies)
    write_down_shapes(model)
    common.CommonSubexpressionEliminationPass()(model)
    common.RemoveUnusedNodesPass()(model)
    _leave_out_unused_outputs(model)
    _name(model, graph)
    # Bundles are compared by hash, and a graph is the same whichever build of PyTorch traced it.
    model.producer_version = (model.producer_version or "").partition("+")[0]
    return model


def _converted(
    network: nn.Module,
    given: tuple[tuple[Any, ...], tuple[Any, ...]],
    wanted: Flavour,
    opset: int,
) -> ir.Model:
    """The model of a network that is given these examples, whose axes are dynamic or not."""
    examples, shapes = given
    with _Defined(wanted.definitions_at(opset)):
        program = torch.export.export(
            network,
            examples,
            dynamic_shapes=shapes,
            strict=False,
            # not for the assertions, which become nothing, but because a guess about a stride of
            # an attention written out would count as a limit of the axes
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    # It would look for what it has no node for, by another trace; there is nothing.
    program.run_decompositions = lambda _: program
    exported = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=opset,
        custom_translation_table={
            CALL: calls.lowered,
            ORDERED_SUM: _summed,
            **wanted.lowerings,
        },
        optimize=False,
        verbose=False,
    )
    assert exported is not None
    for name, _ in network.named_parameters():
        if name in exported.model.graph.initializers:
            # nothing may read a fake tensor's numbers
            exported.model.graph.initializers[name].const_value = None
    simplify(exported.model)
    return exported.model


def _summed(terms: Sequence[ir.Value]) -> Any:
    """Nodes that add their inputs one after the other.

    Eight each, for so many CUDA adds in one launch. More would be a launch apiece.

    Source: ComputeInternal in core/providers/cuda/math/variadic_elementwise_ops.cc of ONNX Runtime.
    """
    op: Any = opset18  # its type stubs do not know the values that a translation is given
    total, *rest = terms
    while rest:
        total, rest = op.Sum(total, *rest[:7]), rest[7:]
    return total


class _Defined(TorchFunctionMode):
    """Calls definitions and parts in place of operations while a network is traced.

    As decompositions of the trace, they would cost as much as another trace.
    """

    def __init__(self, definitions: Mapping[Any, Callable[..., Any]]) -> None:
        super().__init__()
        self._definitions = definitions

    def __torch_function__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if operation not in self._definitions:
            return PARTS.get(operation, operation)(*args, **kwargs or {})
        with self:  # for what it is defined by
            return self._definitions[operation](*args, **kwargs or {})


def _again(
    tensors: list[torch.Tensor], axes: dict[str, Any]
) -> tuple[tuple[torch.Tensor, ...], tuple[Any, ...]]:
    """Examples of the shapes of these fake tensors, and which of their axes are dynamic."""
    names = {size: axis for axis, size in _EXAMPLE.items()}
    examples, shapes = [], []
    for tensor in tensors:
        symbols: list[Any] = list(tensor.shape)
        sizes = [size if isinstance(size, int) else size.node.hint for size in symbols]
        examples.append(torch.zeros(sizes, dtype=tensor.dtype))
        dynamic = [i for i, size in enumerate(symbols) if not isinstance(size, int)]
        shapes.append({i: axes[names[sizes[i]]] for i in dynamic})
    return tuple(examples), (tuple(shapes),)


def _example(spec: TensorSpec) -> torch.Tensor:
    size = [_EXAMPLE[axis] if isinstance(axis, str) else axis for axis in spec.shape]
    return torch.zeros(size, dtype=getattr(torch, spec.dtype))


def _dynamic(spec: TensorSpec, axes: dict[str, Any]) -> dict[int, Any]:
    return {i: axes[axis] for i, axis in enumerate(spec.shape) if isinstance(axis, str)}


def _leave_out_unused_outputs(model: ir.Model) -> None:
    """The statistics of a norm, which a runtime computes if they have a name."""
    for node in model.graph:
        if node.op_type != SKIP_NORM.name:
            continue
        used = [bool(value.uses()) or value.is_graph_output() for value in node.outputs]
        for value, is_used in zip(node.outputs, used, strict=True):
            if not is_used:
                value.name = ""
        node.resize_outputs(max(i for i, is_used in enumerate(used) if is_used) + 1)


def _name(model: ir.Model, graph: Graph) -> None:
    """Give inputs and outputs their declared names and axes."""
    outputs = [
        *graph.outputs,
        *(
            TensorSpec(name=state.present, dtype=state.past.dtype, shape=state.past.shape)
            for state in graph.states
        ),
    ]
    inputs = [*graph.inputs, *(state.past for state in graph.states)]
    for values, specs in ((model.graph.inputs, inputs), (model.graph.outputs, outputs)):
        assert len(values) == len(specs), f"{graph.name}: {len(values)} traced, {len(specs)} named"
        for value, spec in zip(values, specs, strict=True):
            assert value.dtype == ir.DataType[_ONNX_NAMES[spec.dtype]], f"{spec} is {value.dtype}"
            value.name = spec.name
            value.shape = ir.Shape(spec.shape)
    missing = graph.weights.keys() - model.graph.initializers.keys()
    assert not missing, f"{graph.name} was traced without {sorted(missing)}"
    model.graph.name = graph.name
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None


_ONNX_NAMES = {
    "float32": "FLOAT",
    "float16": "FLOAT16",
    "bfloat16": "BFLOAT16",
    "int32": "INT32",
    "int64": "INT64",
    "bool": "BOOL",
}


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the exporter's notes from the user, and it from what takes time for nothing.

    Next to none of a million objects is garbage, and to look for it took a sixth of the time. To
    keep the shapes that fake tensors were given takes longer than to find them again, where axes
    are symbols: a fifth of the time.
    """
    from torch._dynamo import config  # here and not above: it takes seconds to load

    notes, collected = logging.root.manager.disable, gc.isenabled()
    logging.disable(logging.WARNING)
    gc.disable()
    try:
        with warnings.catch_warnings(), config.patch(fake_tensor_cache_enabled=False):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(notes)
        if collected:
            gc.enable()
