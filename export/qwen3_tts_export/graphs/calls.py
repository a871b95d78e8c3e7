"""A module that a network calls again and again is traced once, and written once a call.

While a network is traced, a call of such a module is one operation, `qwen3_tts::call`. What the
module does is traced by itself, once for each set of shapes that it is called with, and becomes a
function of the model. In the end the function's nodes are written wherever it is called.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from onnx_ir.passes import common
from onnxscript import ir
from onnxscript.values import Op, Opset
from torch import Tensor, nn
from torch.utils import _pytree as pytree

_DOMAIN = "qwen3_tts"


class Function(nn.Module):
    """What a module does with tensors of some shapes, from tensors to tensors.

    Attributes:
        name: The module's, and a number.
        module: Which.
        examples: What it was called with first; fake.
    """

    def __init__(self, name: str, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        super().__init__()
        self.name, self.module = name, module
        self.examples, self._taken = pytree.tree_flatten(arguments)
        self._compute = module.forward
        self._given: pytree.TreeSpec | None = None
        self._like: list[tuple[int, torch.dtype]] = []

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """Its parameters, as they are called in its trace."""
        return dict(self.named_parameters())

    def forward(self, *tensors: Tensor) -> list[Tensor]:
        """Call the module."""
        results = self._compute(*pytree.tree_unflatten(tensors, self._taken))
        flat, self._given = pytree.tree_flatten(results)
        return flat

    def called(self, arguments: tuple[Any, ...]) -> Any:
        """The call as one operation."""
        tensors = pytree.tree_leaves(arguments)
        results = torch.ops.qwen3_tts.call(self.name, [*self.weights.values()], tensors)
        assert self._given is not None
        return pytree.tree_unflatten(results, self._given)

    def shaped(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Tensors such as it returns: each has the shape of one that it is given."""
        if not self._like:
            for result in self(*tensors):
                at = next(i for i, x in enumerate(tensors) if x.shape == result.shape)
                self._like.append((at, result.dtype))
        return [torch.empty_like(tensors[at], dtype=dtype) for at, dtype in self._like]


_functions: dict[str, Function] = {}


@torch.library.custom_op("qwen3_tts::call", mutates_args=())
def call(function: str, weights: list[Tensor], tensors: list[Tensor]) -> list[Tensor]:
    """A call of a function: it is never run, only traced."""
    raise NotImplementedError


@call.register_fake
def _shapes(function: str, weights: list[Tensor], tensors: list[Tensor]) -> list[Tensor]:
    return _functions[function].shaped(tensors)


def lowered(function: str, weights: Sequence[ir.Value], tensors: Sequence[ir.Value]) -> Any:
    """A node that calls it."""
    known = _functions[function]
    parameter = onnx.defs.OpSchema.FormalParameter
    given = [parameter(f"x{i}", f"X{i}") for i in range(len(known.weights) + len(known.examples))]
    made = [parameter(f"y{i}", f"Y{i}") for i in range(len(known._like))]
    schema = onnx.defs.OpSchema(
        function,
        _DOMAIN,
        1,
        inputs=given,
        outputs=made,
        type_constraints=[(x.type_str, ["tensor(float)"], "") for x in (*given, *made)],
    )
    return Op(Opset(_DOMAIN, 1), function, schema)(*weights, *tensors)


@contextmanager
def functions_of(network: nn.Module) -> Iterator[dict[str, Function]]:
    """Let calls of the modules whose `called_often` is true be operations.

    Yields:
        What was called, by name; it grows while the network is traced.
    """
    often = {
        name: module
        for name, module in network.named_modules()
        if getattr(module, "called_often", False)
    }
    shapes: dict[Any, Function] = {}

    def instead(name: str, module: nn.Module) -> Callable[..., Any]:
        def forward(*arguments: Any) -> Any:
            found = tuple((str(x.shape), x.dtype) for x in pytree.tree_leaves(arguments))
            if (name, found) not in shapes:
                with _as_it_is(module):
                    function = Function(f"{name}.{len(shapes)}", module, arguments)
                shapes[name, found] = _functions[function.name] = function
            return shapes[name, found].called(arguments)

        return forward

    for name, module in often.items():
        module.forward = instead(name, module)
    try:
        yield _functions
    finally:
        for module in often.values():
            del module.forward
        _functions.clear()


@contextmanager
def _as_it_is(module: nn.Module) -> Iterator[None]:
    """Within, the module's own `forward`."""
    instead = module.__dict__.pop("forward")
    yield
    module.forward = instead


def write_out(model: ir.Model, bodies: dict[str, ir.Model]) -> None:
    """Write the nodes of each function wherever it is called.

    Args:
        model: In which they are called.
        bodies: Their traces, by name.
    """
    for name, body in bodies.items():
        graph = body.graph
        graph.inputs[:0] = [graph.initializers.pop(weight) for weight in _functions[name].weights]
        constants = [
            _moved(value, graph, model.graph, name) for value in [*graph.initializers.values()]
        ]
        for node in model.graph:
            if node.op_type == name:
                count = len(node.inputs)
                node.resize_inputs(count + len(constants))
                for place, constant in enumerate(constants, start=count):
                    node.replace_input_with(place, constant)
        function = ir.Function(_DOMAIN, name, graph=graph, attributes=[])
        model.functions[function.identifier()] = function
    common.InlinePass()(model)
    common.DeduplicateInitializersPass()(model)
    del model.graph.opset_imports[_DOMAIN]


def _moved(constant: ir.Value, body: ir.Graph, graph: ir.Graph, name: str) -> ir.Value:
    """A constant of a function, which may have none, handed to it by the graph that calls it."""
    assert constant.name is not None
    body.inputs.append(body.initializers.pop(constant.name))
    moved = ir.Value(
        name=f"{name}.{constant.name}",
        shape=constant.shape,
        type=constant.type,
        const_value=constant.const_value,
    )
    graph.register_initializer(moved)
    return moved
