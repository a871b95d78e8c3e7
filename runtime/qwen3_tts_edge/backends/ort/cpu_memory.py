"""Memory of this process, in which the states of ONNX Runtime's graphs lie on the CPU."""

import ctypes
import mmap
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from qwen3_tts_edge.arrays import Array


class CpuMemory:
    """A `state.Memory`."""

    device = "cpu"

    def allocate(self, nbytes: int) -> tuple[int, Any]:
        """Take zeros whose memory is only taken when it is written: a KV cache is seldom full.

        numpy asks for huge pages, and then the first position of each head takes the room of all;
        a plain private mapping has small ones.
        """
        if sys.platform == "win32":
            owner: Any = np.zeros(nbytes, np.uint8)
        else:
            pages = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            owner = np.frombuffer(pages, np.uint8)
        return owner.ctypes.data, owner

    def copy(self, runs: Iterable[tuple[int, int, int]]) -> None:
        """Copy, as `state.Memory.copy` says."""
        for to, source, nbytes in runs:
            ctypes.memmove(to, source, nbytes)

    def clear(self, at: int, nbytes: int) -> None:
        """Set to zero, as `state.Memory.clear` says."""
        ctypes.memset(at, 0, nbytes)

    def read(self, at: int, into: Array) -> None:
        """Copy into an array, as `state.Memory.read` says."""
        ctypes.memmove(into.ctypes.data, at, into.nbytes)

    def write(self, at: int, array: Array) -> None:
        """Copy an array, as `state.Memory.write` says."""
        ctypes.memmove(at, array.ctypes.data, array.nbytes)
