"""What an ONNX Runtime graph carries: buffers at fixed addresses, and views of some of their slots.

In a graph that was proved at export to run in place a past and its present are one buffer. Of
others the two take turns, which a view cannot: what it has launched is copied back.
"""

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends import State
from qwen3_tts_edge.bundle.graph_spec import GraphSpec, StateSpec, TensorSpec


class Memory(Protocol):
    """Where buffers lie.

    Attributes:
        device: ONNX Runtime's name of it.
    """

    device: str

    def allocate(self, nbytes: int) -> tuple[int, Any]:
        """Take zeroed memory: its address, and the object that owns it."""
        ...

    def copy(self, runs: Iterable[tuple[int, int, int]]) -> None:
        """Copy stretches of this memory, (to, from, bytes) each; done when it returns."""
        ...

    def clear(self, at: int, nbytes: int) -> None:
        """Set bytes to zero; done when it returns."""
        ...

    def read(self, at: int, into: Array) -> None:
        """Copy this memory into an array that lies in one piece; done when it returns."""
        ...

    def write(self, at: int, array: Array) -> None:
        """Copy an array that lies in one piece to this memory; done when it returns."""
        ...


@dataclass(frozen=True)
class _Layout:
    """How one of the tensors lies in its buffer.

    Attributes:
        slot: Bytes of a slot.
        heads: Of a slot, where the tensor is a cache, whose positions follow each other head by
            head; 0 where it is none.
        position: Bytes of one position of a head.
    """

    slot: int
    heads: int
    position: int

    @classmethod
    def of(cls, spec: TensorSpec, sizes: Mapping[str, int]) -> "_Layout":
        one = spec.nbytes({**sizes, "batch": 1})
        if "capacity" not in spec.shape:
            return cls(one, 0, 0)
        heads = math.prod(spec.sized({**sizes, "batch": 1})[: spec.shape.index("capacity")])
        return cls(one, heads, one // heads // sizes["capacity"])


@dataclass
class _Buffers:
    """What a state and all its views share.

    Attributes:
        layouts: Of each state, by the name of its past.
        past: The address of each; of the even turns.
        other: Of the odd ones; the same where the graph runs in place.
        turn: Launches of the whole, as far as it matters.
        bindings: What graphs have bound to these addresses, by shapes and slots.
    """

    memory: Memory
    spec: GraphSpec
    sizes: Mapping[str, int]
    layouts: dict[str, _Layout] = field(default_factory=dict)
    past: dict[str, int] = field(default_factory=dict)
    other: dict[str, int] = field(default_factory=dict)
    owners: list[Any] = field(default_factory=list)
    turn: int = 0
    bindings: dict[Hashable, Any] = field(default_factory=dict)


class OrtState:
    """Some slots of the buffers: a `backends.State`.

    Attributes:
        slots: How many.
        first: The first of them in the buffers.
        shared: The buffers.
    """

    def __init__(self, shared: _Buffers, first: int, slots: int) -> None:
        self.shared = shared
        self.first = first
        self.slots = slots

    @classmethod
    def allocate(cls, memory: Memory, spec: GraphSpec, sizes: Mapping[str, int]) -> "OrtState":
        """Take zeroed buffers.

        Args:
            memory: Where.
            spec: The graph.
            sizes: Of the named axes of its states; `batch` is how many slots.
        """
        shared = _Buffers(memory, spec, sizes)
        for state in spec.states:
            name, nbytes = state.past.name, state.past.nbytes(sizes)
            shared.layouts[name] = _Layout.of(state.past, sizes)
            shared.past[name], owner = memory.allocate(nbytes)
            shared.owners.append(owner)
            shared.other[name] = shared.past[name]
            if not spec.in_place:
                shared.other[name], owner = memory.allocate(nbytes)
                shared.owners.append(owner)
        return cls(shared, 0, sizes["batch"])

    @property
    def sizes(self) -> dict[str, int]:
        """The named axes of these slots."""
        return {**self.shared.sizes, "batch": self.slots}

    @property
    def turn(self) -> int:
        """Which of two buffers is the past, 0 or 1."""
        return 0 if self.shared.spec.in_place else self.shared.turn % 2

    @property
    def whole(self) -> bool:
        """Whether it has all slots of the buffers."""
        return self.slots == self.shared.sizes["batch"]

    def past(self, state: StateSpec) -> int:
        """The address of what a launch of now reads."""
        return self._at(state, self.turn)

    def present(self, state: StateSpec) -> int:
        """The address of what a launch of now writes."""
        return self._at(state, 1 - self.turn)

    def launched(self) -> None:
        """Note a launch: what was present is past."""
        if self.shared.spec.in_place:
            return
        if self.whole:
            self.shared.turn += 1
            return
        for state in self.shared.spec.states:
            run = self.past(state), self.present(state), self._nbytes(state)
            self.shared.memory.copy([run])

    def view(self, first: int, slots: int = 1) -> "OrtState":
        """Give some of the slots, as `backends.State.view` says."""
        assert 0 <= first <= first + slots <= self.slots, f"slots {first}+{slots} of {self.slots}"
        return OrtState(self.shared, self.first + first, slots)

    def clear(self, *names: str) -> None:
        """Set tensors to zero, as `backends.State.clear` says."""
        for state in self.shared.spec.states:
            if not names or state.past.name in names:
                self.shared.memory.clear(self.past(state), self._nbytes(state))

    def copy(self, other: State, positions: int | None = None) -> None:
        """Take over what another state carries, as `backends.State.copy` says."""
        assert isinstance(other, OrtState)
        self.shared.memory.copy(
            run for state in self.shared.spec.states for run in self._runs(state, other, positions)
        )

    def arrays(self) -> dict[str, Array]:
        """Give what it carries, as `backends.State.arrays` says."""
        found: dict[str, Array] = {}
        for state in self.shared.spec.states:
            array = np.empty(state.past.sized(self.sizes), state.past.stored)
            self.shared.memory.read(self.past(state), array)
            found[state.past.name] = array
        return found

    def fill(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `arrays` gave, as `backends.State.fill` says."""
        for state in self.shared.spec.states:
            array = np.ascontiguousarray(arrays[state.past.name])
            assert array.nbytes == self._nbytes(state), f"{state.past.name} is another's"
            self.shared.memory.write(self.past(state), array)

    def _runs(
        self, state: StateSpec, other: "OrtState", positions: int | None
    ) -> Iterator[tuple[int, int, int]]:
        """The stretches of memory that `copy` copies: to, from and bytes of each.

        A cache has one for each head of each slot, for it is used up to `positions` alone.
        """
        to, source = self.past(state), other.past(state)
        layout = self.shared.layouts[state.past.name]
        if positions is None or not layout.heads:
            yield to, source, self._nbytes(state)
            return
        for head in range(layout.heads * self.slots):
            yield (
                to + head * layout.position * self.shared.sizes["capacity"],
                source + head * layout.position * other.shared.sizes["capacity"],
                layout.position * positions,
            )

    def _nbytes(self, state: StateSpec) -> int:
        return self.shared.layouts[state.past.name].slot * self.slots

    def _at(self, state: StateSpec, turn: int) -> int:
        buffers, name = self.shared.other if turn else self.shared.past, state.past.name
        return buffers[name] + self.shared.layouts[name].slot * self.first
