"""Memory of the TensorRT backend: given back together, when nobody uses it any more.

A launch finds every tensor by its name at an address that never changes.
"""

import contextlib
import ctypes
import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.bundle.graph_spec import TensorSpec
from qwen3_tts_edge.errors import BackendError

ALIGNMENT = 256
"""Bytes: where cudaMalloc begins, and what engines may count on."""

Sizes = Mapping[str, int]


class Memory:
    """All that a graph or a state takes from CUDA; it goes back when nobody uses it any more."""

    def __init__(self, cuda: Cuda, of: "Memory | None" = None) -> None:
        """Begin with nothing.

        Args:
            cuda: Where from.
            of: What must be held as long as this, for its streams are used here.
        """
        self.cuda = cuda
        self._of = of
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


def _aligned(nbytes: int) -> int:
    return math.ceil(nbytes / ALIGNMENT) * ALIGNMENT
