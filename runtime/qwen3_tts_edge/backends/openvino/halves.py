"""The codec decoder's graph in two: most of the weights in front, most of the samples behind.

OpenVINO makes one loop of steps that walk through the same numbers, such as the sines' fourteen,
but only where it knows how many there are. To compile the whole graph for each number of frames
would take its weights as often. What is behind has few of them, and nearly all such steps.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

MIDDLE = "middle"
"""What goes from one half to the other: float32 (1, channels, frames * some)."""

_BEHIND = 1 / 16
"""The weights that may lie behind, of all."""


@dataclass
class _Half:
    results: list[Any]
    made_of: set[str]

    def model(self, nodes: Mapping[str, Any]) -> Any:
        from openvino import Model

        made_of = [node for name, node in nodes.items() if name in self.made_of]
        return Model(self.results, [node for node in made_of if _is(node, "Parameter")])


def halves(model: Any, given: Sequence[str], wanted: str) -> tuple[Any, Any]:
    """Cut a model at a tensor that everything passes through, and leave it useless.

    Args:
        model: An `openvino.Model`.
        given: Its inputs, but for states.
        wanted: Its output, but for states.

    Returns:
        Two models; the first has an output MIDDLE and the second an input of that name.
    """
    from openvino import opset13 as op

    nodes = {node.get_friendly_name(): node for node in model.get_ordered_ops()}
    sources = {name: _sources(node) for name, node in nodes.items()}
    weights = {name: _weight(node) for name, node in nodes.items()}
    end = model.output(wanted).get_node().get_friendly_name()

    def behind(name: str | None) -> int:
        return sum(weights[each] for each in _before(end, sources, name))

    total = behind(None)
    narrow = [name for name in _narrow(sources, given, end) if _is_sound(nodes[name])]
    place = bisect_left(narrow, True, key=lambda name: behind(name) <= total * _BEHIND)
    cut = nodes[narrow[place]].output(0)
    entry = op.parameter(cut.get_partial_shape(), np.float32, name=MIDDLE)
    entry.output(0).get_tensor().set_names({MIDDLE})
    nodes[MIDDLE], sources[MIDDLE] = entry, set()
    for user in cut.get_target_inputs():
        user.replace_source_output(entry.output(0))
        name = user.get_node().get_friendly_name()
        sources[name] = sources[name] - {narrow[place]} | {MIDDLE}
    cut.get_tensor().add_names({MIDDLE})
    front, back = _Half([op.result(cut)], _before(narrow[place], sources)), _Half([], set())
    for result in model.get_results():
        made_of = _before(result.get_friendly_name(), sources)
        half = back if MIDDLE in made_of else front
        half.results.append(result)
        half.made_of |= made_of
    return front.model(nodes), back.model(nodes)


def _sources(node: Any) -> set[str]:
    return {each.get_node().get_friendly_name() for each in node.input_values()}


def _weight(node: Any) -> int:
    return math.prod(node.get_output_shape(0)) if _is(node, "Constant") else 0


def _before(name: str, sources: Mapping[str, Set[str]], stop: str | None = None) -> set[str]:
    """Give the nodes that one is made of, itself among them, as far as another."""
    found: set[str] = set()
    ahead = {name}
    while ahead:
        found |= ahead
        ahead = set().union(*(sources[each] for each in ahead)) - found - {stop}
    return found


def _narrow(sources: Mapping[str, Set[str]], given: Iterable[str], end: str) -> Iterator[str]:
    """Yield the nodes that all of what is given passes through to the end, in order."""
    needed = _before(end, sources)
    users = Counter(source for name in needed for source in sources[name])
    waited_for = {name: users[name] for name in given}  # what has users to come
    for name, made_of in sources.items():
        used = made_of & waited_for.keys()
        if not used or name not in needed:
            continue
        for source in used:
            waited_for[source] -= 1
        waited_for[name] = users[name]
        waited_for = {each: left for each, left in waited_for.items() if left}
        if waited_for.keys() == {name}:
            yield name


def _is(node: Any, kind: str) -> bool:
    return bool(node.get_type_name() == kind)


def _is_sound(node: Any) -> bool:
    return node.get_output_element_type(0).is_real() and len(node.get_output_partial_shape(0)) == 3
