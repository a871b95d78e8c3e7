"""What a stream of sound carries in OpenVINO."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends import State
from qwen3_tts_edge.backends.openvino.part import PartState

BATCH = 1
"""Slots of a state: streams of sound are launched one by one, whenever each has frames."""


class OpenVinoState:
    """What one stream carries: a `backends.State`.

    Attributes:
        parts: What it carries in each part of the graph.
    """

    slots = BATCH

    def __init__(self, parts: Sequence[PartState]) -> None:
        self.parts = parts

    def view(self, first: int, slots: int = BATCH) -> Self:
        """Give its one slot, as `backends.State.view` says."""
        assert (first, slots) == (0, BATCH), f"slots {first}+{slots} of {BATCH}"
        return self

    def clear(self, *names: str) -> None:
        """Set tensors to zero, as `backends.State.clear` says."""
        if not names:
            for part in self.parts:
                part.clear()
        for name in names:
            self._variables()[name].reset()

    def copy(self, other: State, positions: int | None = None) -> None:
        """Take over what another state carries, as `backends.State.copy` says."""
        assert isinstance(other, OpenVinoState)
        others = other._variables()
        for name, variable in self._variables().items():
            variable.state = others[name].state

    def arrays(self) -> dict[str, Array]:
        """Give what it carries, as `backends.State.arrays` says."""
        return {name: np.array(each.state.data) for name, each in self._variables().items()}

    def fill(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `arrays` gave, as `backends.State.fill` says."""
        import openvino

        for name, variable in self._variables().items():
            variable.state = openvino.Tensor(np.ascontiguousarray(arrays[name]))

    def _variables(self) -> dict[str, Any]:
        return {name: each for part in self.parts for name, each in part.variables().items()}
