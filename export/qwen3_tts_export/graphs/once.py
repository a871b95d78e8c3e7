"""What PyTorch's exporter does again and again, done once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch.fx


@contextmanager
def once() -> Iterator[None]:
    """Let the exporter look up what it would compute again, as long as this lasts."""
    # here and not above: they take seconds to load
    from torch.onnx._internal.exporter._registration import ONNXRegistry
    from torch.onnx._internal.fx.passes import type_promotion

    interpreter: Any = type_promotion._TypePromotionInterpreter
    registry: Any = ONNXRegistry
    run, filled = interpreter.run_node, vars(registry)["from_torchlib"]
    interpreter.run_node = _by_noted_values(type_promotion)
    registry.from_torchlib = staticmethod(_copies_of(filled.__get__(None, registry)))
    try:
        yield
    finally:
        interpreter.run_node, registry.from_torchlib = run, filled


def _by_noted_values(promotion: Any) -> Callable[[Any, torch.fx.Node], Any]:
    """Promote operands of several types by the values that the trace has noted.

    The pass runs the whole graph, with fake tensors, to know types. Only a node that it has changed
    has others than it had.
    """

    def run_node(self: Any, node: torch.fx.Node) -> Any:
        given = node.args, node.kwargs
        with self._set_current_node(node):
            rule = promotion.get_type_promotion_rule(node, self.type_promotion_table)
            if rule is not None:
                self._maybe_promote_node(node, rule)
        noted = node.op == "call_function" and "val" in node.meta
        if noted and given == (node.args, node.kwargs):
            return node.meta["val"]
        return torch.fx.Interpreter.run_node(self, node)

    return run_node


_registries: dict[int, Any] = {}
"""By opset."""


def _copies_of(fill: Callable[..., Any]) -> Callable[..., Any]:
    """Fill the table of what each operation becomes once, for it parses 500 functions' sources.

    A graph adds its own operations to its copy.
    """

    def copy(*, opset_version: int) -> Any:
        if opset_version not in _registries:
            _registries[opset_version] = fill(opset_version=opset_version)
        found = _registries[opset_version]
        table = type(found)()
        table._opset_version = found._opset_version
        table.functions = {target: list(each) for target, each in found.functions.items()}
        return table

    return copy
