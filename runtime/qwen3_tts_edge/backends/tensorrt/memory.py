"""Buffers of the TensorRT backend: taken once when a graph is opened, given back together.

A launch finds every tensor by its name at an address that never changes.
"""

import contextlib
import ctypes
import math
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.backends import Array
from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.bundle.graph_spec import StateSpec, TensorSpec
from qwen3_tts_edge.errors import BackendError

_ALIGNMENT = 256
"""Bytes: where cudaMalloc begins, and what engines may count on."""

Sizes = Mapping[str, int]


class Memory:
    """All that a graph takes from CUDA; it goes back when nobody uses the graph any more."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self._taken: list[tuple[Callable[[int], None], int]] = []
        weakref.finalize(self, _give_back, self._taken)

    def device(self, nbytes: int) -> int:
        """Device memory, undefined."""
        return self._take(self.cuda.allocate(nbytes), self.cuda.free)

    def pinned(self, nbytes: int) -> tuple[int, npt.NDArray[np.uint8]]:
        """Pinned host memory, zero: its address, and the same bytes as an array."""
        address = self._take(self.cuda.allocate_pinned(nbytes), self.cuda.free_pinned)
        found = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address))
        found.fill(0)
        return address, found

    def stream(self) -> int:
        """A stream."""
        return self._take(self.cuda.stream(), self.cuda.destroy_stream)

    def event(self) -> int:
        """An event."""
        return self._take(self.cuda.event(), self.cuda.destroy_event)

    def graph(self, stream: int, work: Callable[[], None]) -> int:
        """A captured graph, see `Cuda.capture`."""
        return self._take(self.cuda.capture(stream, work), self.cuda.destroy_graph)

    def _take(self, handle: int, give_back: Callable[[int], None]) -> int:
        self._taken.append((give_back, handle))
        return handle


def _give_back(taken: list[tuple[Callable[[int], None], int]]) -> None:
    for give_back, handle in reversed(taken):
        with contextlib.suppress(BackendError):  # a GPU that failed takes nothing back
            give_back(handle)


class Block:
    """Tensors side by side, in pinned host memory and on the device: one copy moves them all.

    Attributes:
        host: Each as a flat array, of its largest size.
        device: Where each lies on the device.
    """

    def __init__(self, memory: Memory, specs: Sequence[TensorSpec], sizes: Sizes) -> None:
        """Take memory for tensors of these sizes; the last may be smaller in a launch."""
        self._cuda = memory.cuda
        nbytes = [spec.nbytes(sizes) for spec in specs]
        starts = [0, *accumulate(map(_aligned, nbytes))]
        self._start_of_last, self._last = starts[-2], specs[-1]
        self._at, content = memory.pinned(starts[-1])
        self._to = memory.device(starts[-1])
        self.host: dict[str, Array] = {}
        self.device: dict[str, int] = {}
        for spec, start, size in zip(specs, starts, nbytes, strict=False):
            self.host[spec.name] = content[start : start + size].view(spec.stored)
            self.device[spec.name] = self._to + start

    def write(self, name: str, value: Array) -> None:
        """Put a tensor into host memory."""
        flat = self.host[name][: value.size]
        np.copyto(flat.reshape(value.shape), value, casting="same_kind")

    def read(self, name: str, shape: Sequence[int]) -> Array:
        """A copy of a tensor in host memory."""
        value: Array = self.host[name][: math.prod(shape)].reshape(shape).copy()
        return value

    def upload(self, sizes: Sizes, stream: int) -> None:
        """Copy host memory to the device, of the last tensor as much as has these sizes."""
        self._cuda.copy(self._to, self._at, self._used(sizes), stream)

    def download(self, sizes: Sizes, stream: int) -> None:
        """Copy device memory to the host, likewise."""
        self._cuda.copy(self._at, self._to, self._used(sizes), stream)

    def _used(self, sizes: Sizes) -> int:
        return self._start_of_last + self._last.nbytes(sizes)


class States:
    """The carried tensors. Each has one buffer or two: past and present, which take turns.

    An engine that updates a cache in place wants one address for both, and says so; of the others
    none promises to have read the past before it writes the present.
    """

    def __init__(
        self,
        memory: Memory,
        specs: Iterable[StateSpec],
        aliased: frozenset[str],
        sizes: Sizes,
        stream: int,
    ) -> None:
        """Take memory and clear it: what no launch has written may be read, but never be NaN.

        Args:
            memory: Where from.
            specs: The states.
            aliased: Names of the presents that are written onto their past.
            sizes: Of the named axes.
            stream: Where the states will be used.
        """
        self._cuda = memory.cuda
        self._specs = {spec.past.name: spec for spec in specs}
        self._nbytes = {name: spec.past.nbytes(sizes) for name, spec in self._specs.items()}
        self._buffers: dict[str, tuple[int, int]] = {}
        for name, spec in self._specs.items():
            first = memory.device(self._nbytes[name])
            one = spec.present in aliased
            self._buffers[name] = (first, first if one else memory.device(self._nbytes[name]))
        for turn in (0, 1):
            self.clear(turn, stream)

    def past(self, name: str, turn: int) -> int:
        """The address of a past at that turn, counted from 0: the present of the turn before."""
        return self._buffers[name][turn % 2]

    def at(self, turn: int) -> dict[str, int]:
        """All addresses at that turn, of pasts and presents, by tensor name."""
        found = {name: self.past(name, turn) for name in self._specs}
        return found | {s.present: self.past(name, turn + 1) for name, s in self._specs.items()}

    def clear(self, turn: int, stream: int, *names: str) -> None:
        """Set to zero what that turn reads: the pasts named, or all."""
        for name in names or self._specs:
            self._cuda.clear(self.past(name, turn), self._nbytes[name], stream)

    def keep(self, name: str, turn: int, stream: int) -> None:
        """Let the turn after read what this turn reads, whatever this turn has written."""
        self._cuda.copy(
            self.past(name, turn + 1), self.past(name, turn), self._nbytes[name], stream
        )


def _aligned(nbytes: int) -> int:
    return math.ceil(nbytes / _ALIGNMENT) * _ALIGNMENT
