"""What a TensorRT graph carries: buffers on the device, and views of some of their slots.

An engine that updates a cache in place has one buffer for past and present. Of others the two take
turns, and each slot has its own turn: one that was launched alone, as a prompt is, is copied to
where the others are when they are launched together again.

Everything here is asynchronous, on the stream of the graph: it happens after what was launched
before and ahead of what is launched next. Only `arrays` and `fill`, where the host is the other
side, wait.
"""

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends import State
from qwen3_tts_edge.backends.tensorrt.memory import ALIGNMENT, Block, Memory, Sizes
from qwen3_tts_edge.bundle.graph_spec import StateSpec

Pair = tuple[int, int]
"""Two buffers that take turns, or the same address twice."""


@dataclass
class _Buffers:
    """What a state and all its views share.

    Attributes:
        at: Of each state, by the name of its past: the past of the even turns, and of the odd.
        aside: Likewise, for one slot that no engine takes where it lies.
        turns: The turn of each slot, 0 or 1.
        kept: What a graph keeps for these addresses.
    """

    memory: Memory
    stream: int
    specs: Sequence[StateSpec]
    sizes: Sizes
    at: Mapping[str, Pair]
    aside: Mapping[str, Pair]
    turns: list[int]
    kept: dict[Hashable, Any] = field(default_factory=dict)


class TensorRTState:
    """Some slots of the buffers: a `backends.State`.

    Attributes:
        shared: The buffers.
        first: The first of the slots in them.
        slots: How many.
    """

    def __init__(self, shared: _Buffers, first: int, slots: int) -> None:
        self.shared = shared
        self.first = first
        self.slots = slots

    @classmethod
    def allocate(
        cls,
        memory: Memory,
        stream: int,
        specs: Iterable[StateSpec],
        aliased: frozenset[str],
        sizes: Sizes,
    ) -> "TensorRTState":
        """Take memory and clear it: what no launch has written may be read, but never be NaN.

        Args:
            memory: Where from.
            stream: Where the states will be used.
            specs: The states.
            aliased: Names of the presents that are written onto their past.
            sizes: Of the named axes; `batch` is how many slots.
        """
        specs, one = tuple(specs), {**sizes, "batch": 1}
        odd = [spec for spec in specs if sizes["batch"] > 1 and spec.past.nbytes(one) % ALIGNMENT]
        at = buffers(memory, stream, specs, aliased, sizes)
        aside = buffers(memory, stream, odd, aliased, one)
        return cls(
            _Buffers(memory, stream, specs, sizes, at, aside, [0] * sizes["batch"]),
            0,
            sizes["batch"],
        )

    @property
    def turn(self) -> int:
        """Which of two buffers is the past of the first slot, 0 or 1."""
        return self.shared.turns[self.first]

    def view(self, first: int, slots: int = 1) -> "TensorRTState":
        """Give some of the slots, as `backends.State.view` says."""
        assert 0 <= first < first + slots <= self.slots, f"slots {first}+{slots} of {self.slots}"
        return TensorRTState(self.shared, self.first + first, slots)

    def clear(self, *names: str) -> None:
        """Set tensors to zero, as `backends.State.clear` says."""
        shared = self.shared
        for spec in shared.specs:
            if not names or spec.past.name in names:
                for slot in self._all:
                    to = self._past(spec, slot)
                    shared.memory.cuda.clear(to, self._nbytes(spec), shared.stream)

    def copy(self, other: State, positions: int | None = None) -> None:
        """Take over what another state carries, as `backends.State.copy` says."""
        assert isinstance(other, TensorRTState)
        assert (other.slots, other.shared.stream) == (self.slots, self.shared.stream)
        for spec in self.shared.specs:
            for to, source in zip(self._all, other._all, strict=True):
                self._copy(spec, to, other, source, positions)

    def arrays(self) -> dict[str, Array]:
        """Give what it carries, as `backends.State.arrays` says."""
        memory, block, sizes = self._beside()
        for spec, slot, at in self._each(block):
            self._move(spec, at, self._past(spec, slot))
        block.download(sizes, self.shared.stream)
        self._finish(memory)
        pasts = [spec.past for spec in self.shared.specs]
        return {past.name: block.read(past.name, past.sized(sizes)) for past in pasts}

    def fill(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `arrays` gave, as `backends.State.fill` says."""
        memory, block, sizes = self._beside()
        for name in block.host:
            block.write(name, arrays[name])
        block.upload(sizes, self.shared.stream)
        for spec, slot, at in self._each(block):
            self._move(spec, self._past(spec, slot), at)
        self._finish(memory)

    def enter(self) -> dict[str, int]:
        """Make ready for a launch: the addresses of all pasts and presents, by tensor name."""
        shared, turn = self.shared, self.turn
        for slot in self._all:
            if shared.turns[slot] != turn:
                for spec in shared.specs:
                    self._move(spec, self._past(spec, slot, turn), self._past(spec, slot))
                shared.turns[slot] = turn
        found: dict[str, int] = {}
        for spec in shared.specs:
            past, present = (self._past(spec, self.first, which) for which in (turn, 1 - turn))
            if self._lies_odd(spec):
                aside = shared.aside[spec.past.name]
                self._move(spec, aside[turn], past)
                past, present = aside[turn], aside[1 - turn]
            found |= {spec.past.name: past, spec.present: present}
        return found

    def leave(self) -> None:
        """Note a launch at these addresses: what was present is past."""
        for spec in filter(self._lies_odd, self.shared.specs):
            turn = 1 - self.turn
            aside = self.shared.aside[spec.past.name][turn]
            self._move(spec, self._past(spec, self.first, turn), aside)
        for slot in self._all:
            self.shared.turns[slot] ^= 1

    def _beside(self) -> tuple[Memory, Block, Sizes]:
        """Memory for a copy of these slots, on the device and for the host to read and write."""
        sizes = {**self.shared.sizes, "batch": self.slots}
        memory = Memory(self.shared.memory.cuda, self.shared.memory)
        return memory, Block(memory, [spec.past for spec in self.shared.specs], sizes), sizes

    def _each(self, block: Block) -> Iterator[tuple[StateSpec, int, int]]:
        """Every tensor of every slot, with its place in the copy."""
        for spec in self.shared.specs:
            for number, slot in enumerate(self._all):
                yield spec, slot, block.device[spec.past.name] + number * self._nbytes(spec)

    def _finish(self, memory: Memory) -> None:
        """Wait for all that was launched: then the memory may go."""
        done = memory.event()
        memory.cuda.record(done, self.shared.stream)
        memory.cuda.wait(done)

    @property
    def _all(self) -> range:
        return range(self.first, self.first + self.slots)

    def _lies_odd(self, spec: StateSpec) -> bool:
        """Whether an engine refuses the address. Only one slot at a time can be put aside."""
        odd = self.first * self._nbytes(spec) % ALIGNMENT != 0
        assert not odd or self.slots == 1, f"slots {self.first}+{self.slots} cannot be launched"
        return odd

    def _nbytes(self, spec: StateSpec) -> int:
        return spec.past.nbytes({**self.shared.sizes, "batch": 1})

    def _past(self, spec: StateSpec, slot: int, turn: int | None = None) -> int:
        """The address of a slot's past at a turn; None is its own."""
        turn = self.shared.turns[slot] if turn is None else turn
        return self.shared.at[spec.past.name][turn] + slot * self._nbytes(spec)

    def _move(self, spec: StateSpec, to: int, source: int) -> None:
        if to != source:
            shared = self.shared
            shared.memory.cuda.copy(to, source, self._nbytes(spec), shared.stream)

    def _copy(
        self, spec: StateSpec, slot: int, other: "TensorRTState", source: int, positions: int | None
    ) -> None:
        """Copy a slot: of a cache, which is used up to `positions` alone, so much of each head."""
        to, at, shape = self._past(spec, slot), other._past(spec, source), spec.past.shape
        if positions is None or "capacity" not in shape:
            self._move(spec, to, at)
            return
        heads = math.prod(spec.past.sized({"capacity": 1, "batch": 1})[: shape.index("capacity")])
        pitches = [state._nbytes(spec) // heads for state in (self, other)]
        width = pitches[0] // self.shared.sizes["capacity"] * positions
        copy_rows = self.shared.memory.cuda.copy_rows
        copy_rows(to, pitches[0], at, pitches[1], width, heads, self.shared.stream)


def buffers(
    memory: Memory,
    stream: int,
    specs: Iterable[StateSpec],
    aliased: frozenset[str],
    sizes: Sizes,
) -> dict[str, Pair]:
    """Take zeroed memory for carried tensors, two buffers each but for those that are aliased.

    None but these promises to have read its past before it writes its present.
    """
    found = {}
    for spec in specs:
        nbytes = spec.past.nbytes(sizes)
        each = [memory.device(nbytes) for _ in range(1 if spec.present in aliased else 2)]
        for at in each:
            memory.cuda.clear(at, nbytes, stream)
        found[spec.past.name] = (each[0], each[-1])
    return found
