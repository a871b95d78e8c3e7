# ruff: noqa: N802, N803, N815  (CUDA's names)
"""A GPU that is not there, by the functions of cuda.bindings.runtime, and as strict as CUDA.

What is launched on a stream runs when somebody waits for it and not before, or at once: the last
and the first moment that CUDA may take. Device memory is garbage until it is written and has
addresses that the host cannot read.
"""

import enum
import sys
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

GARBAGE = 0xFF
"""Bytes of NaN, and of -1."""

_DEVICE = 0x7F00_0000_0000
_GAP = 4096
ALIGNMENT = 256

Work = Callable[[], None]


class CudaError(enum.Enum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900


class CopyKind(enum.Enum):
    cudaMemcpyDefault = 4


class CaptureMode(enum.Enum):
    cudaStreamCaptureModeThreadLocal = 1


OK = CudaError.cudaSuccess


@dataclass
class Stream:
    """Work in order. `noting` is the list of a capture that is under way."""

    waiting: list[Work] = field(default_factory=list)
    launched: int = 0
    done: int = 0
    noting: list[Work] | None = None


class FakeGpu:
    """Stands for the module `cuda.bindings.runtime`.

    Attributes:
        eager: Whether work runs as soon as it is launched.
        calls: How often each function was called.
        order: Their names, in order.
        fails: Functions that shall fail, and how.
    """

    cudaError_t = CudaError
    cudaMemcpyKind = CopyKind
    cudaStreamCaptureMode = CaptureMode
    cudaStreamNonBlocking = 1
    cudaEventDisableTiming = 2
    cudaEventBlockingSync = 1
    cudaHostAllocDefault = 0

    def __init__(self, *, eager: bool = False) -> None:
        self.eager = eager
        self.calls: Counter[str] = Counter()
        self.order: list[str] = []
        self.fails: dict[str, CudaError] = {}
        self._memory: dict[int, np.ndarray] = {}
        self._starts: list[int] = []
        self._device_end = _DEVICE
        self._streams: dict[int, Stream] = {}
        self._events: dict[int, tuple[int, int] | None] = {}
        self._graphs: dict[int, list[Work]] = {}
        self._handles = iter(range(1, 1_000_000))

    # What the tests and the fake engines use.

    def view(self, address: int, nbytes: int) -> np.ndarray:
        """The bytes at an address, which must lie in one allocation."""
        starts = self._starts
        start = starts[bisect_right(starts, address) - 1] if starts else 0
        content = self._memory.get(start)
        found = None if content is None else content[address - start : address - start + nbytes]
        assert found is not None, f"nothing is at {address:#x}"
        assert found.size == nbytes, f"{nbytes} bytes at {address:#x} are not one's own"
        return found

    def is_device(self, address: int) -> bool:
        return address >= _DEVICE

    def launch_on(self, stream: int, work: Work) -> None:
        """Put work into a stream, as a kernel launch does."""
        found = self._streams[stream]
        if found.noting is not None:
            found.noting.append(work)
            return
        found.waiting.append(work)
        found.launched += 1
        if self.eager:
            self.finish(stream)

    def is_capturing(self, stream: int) -> bool:
        return self._streams[stream].noting is not None

    def finish(self, stream: int, until: int | None = None) -> None:
        """Run what is in a stream."""
        found = self._streams[stream]
        while found.waiting and (until is None or found.done < until):
            found.done += 1
            found.waiting.pop(0)()

    @property
    def unfinished(self) -> list[int]:
        """How many things wait in each stream."""
        return [len(stream.waiting) for stream in self._streams.values()]

    @property
    def held(self) -> tuple[int, int, int, int]:
        """Allocations, streams, events and graphs that were not given back."""
        return len(self._memory), len(self._streams), len(self._events), len(self._graphs)

    # What the runtime uses.

    def cudaGetErrorString(self, error):
        return OK, f"the text of {error.name}".encode()

    def cudaGetDevice(self):
        return self._called("cudaGetDevice") or (OK, 0)

    def cudaGetDeviceProperties(self, device):
        assert device == 0
        found = SimpleNamespace(name=b"Fake GPU", major=8, minor=9)
        return self._called("cudaGetDeviceProperties") or (OK, found)

    def cudaMalloc(self, size):
        failed = self._called("cudaMalloc", capturable=False)
        if failed:
            return failed
        assert size > 0
        address = self._device_end
        self._device_end += -(-size // _GAP) * _GAP + _GAP
        self._take(address, np.full(size, GARBAGE, np.uint8))
        return OK, address

    def cudaFree(self, devPtr):
        return self._freed("cudaFree", devPtr)

    def cudaHostAlloc(self, size, flags):
        assert flags == self.cudaHostAllocDefault
        failed = self._called("cudaHostAlloc", capturable=False)
        if failed:
            return failed
        content = np.full(size, GARBAGE, np.uint8)
        self._take(content.ctypes.data, content)
        return OK, content.ctypes.data

    def cudaFreeHost(self, ptr):
        return self._freed("cudaFreeHost", ptr)

    def cudaStreamCreateWithFlags(self, flags):
        assert flags == self.cudaStreamNonBlocking
        return self._made("cudaStreamCreateWithFlags", self._streams, Stream())

    def cudaStreamDestroy(self, stream):
        return self._destroyed("cudaStreamDestroy", self._streams, stream)

    def cudaEventCreateWithFlags(self, flags):
        assert flags == self.cudaEventDisableTiming | self.cudaEventBlockingSync
        return self._made("cudaEventCreateWithFlags", self._events, None)

    def cudaEventDestroy(self, event):
        return self._destroyed("cudaEventDestroy", self._events, event)

    def cudaEventRecord(self, event, stream):
        assert not self.is_capturing(stream)
        self._events[event] = (stream, self._streams[stream].launched)
        return self._called("cudaEventRecord") or (OK,)

    def cudaEventSynchronize(self, event):
        failed = self._called("cudaEventSynchronize", capturable=False)
        if failed:
            return failed
        mark = self._events[event]
        if mark is not None and mark[0] in self._streams:
            self.finish(*mark)
        return (OK,)

    def cudaMemcpyAsync(self, dst, src, count, kind, stream):
        assert kind is CopyKind.cudaMemcpyDefault
        self.view(dst, count), self.view(src, count)

        def copy() -> None:
            self.view(dst, count)[:] = self.view(src, count)

        self.launch_on(stream, copy)
        return self._called("cudaMemcpyAsync") or (OK,)

    def cudaMemcpy2DAsync(self, dst, dpitch, src, spitch, width, height, kind, stream):
        assert kind is CopyKind.cudaMemcpyDefault
        assert 0 < width <= min(dpitch, spitch)

        def rows(at: int, pitch: int) -> np.ndarray:
            found = self.view(at, pitch * (height - 1) + width)
            return np.lib.stride_tricks.as_strided(found, (height, width), (pitch, 1))

        rows(dst, dpitch), rows(src, spitch)
        self.launch_on(stream, lambda: np.copyto(rows(dst, dpitch), rows(src, spitch)))
        return self._called("cudaMemcpy2DAsync") or (OK,)

    def cudaMemsetAsync(self, devPtr, value, count, stream):
        assert self.is_device(devPtr)
        self.launch_on(stream, lambda: self.view(devPtr, count).fill(value))
        return self._called("cudaMemsetAsync") or (OK,)

    def cudaStreamBeginCapture(self, stream, mode):
        assert mode is CaptureMode.cudaStreamCaptureModeThreadLocal
        assert not self.is_capturing(stream)
        self._streams[stream].noting = []
        return self._called("cudaStreamBeginCapture") or (OK,)

    def cudaStreamEndCapture(self, stream):
        found = self._streams[stream]
        assert found.noting is not None
        noted, found.noting = found.noting, None
        return self._made("cudaStreamEndCapture", self._graphs, noted)

    def cudaGraphInstantiate(self, graph, flags):
        assert flags == 0
        return self._made("cudaGraphInstantiate", self._graphs, self._graphs[graph])

    def cudaGraphLaunch(self, graphExec, stream):
        for work in self._graphs[graphExec]:
            self.launch_on(stream, work)
        return self._called("cudaGraphLaunch") or (OK,)

    def cudaGraphDestroy(self, graph):
        return self._destroyed("cudaGraphDestroy", self._graphs, graph)

    def cudaGraphExecDestroy(self, graphExec):
        return self._destroyed("cudaGraphExecDestroy", self._graphs, graphExec)

    def _called(self, name: str, *, capturable: bool = True) -> tuple[CudaError, ...] | None:
        self.calls[name] += 1
        self.order.append(name)
        if name in self.fails:
            return self.fails[name], None
        if not capturable and any(s.noting is not None for s in self._streams.values()):
            return CudaError.cudaErrorStreamCaptureUnsupported, None
        return None

    def _made(self, name: str, handles: dict, content: object):
        failed = self._called(name)
        if failed:
            return failed
        handle = next(self._handles)
        handles[handle] = content
        return OK, handle

    def _destroyed(self, name: str, handles: dict, handle: int):
        del handles[handle]
        return self._called(name) or (OK,)

    def _take(self, address: int, content: np.ndarray) -> None:
        self._memory[address] = content
        insort(self._starts, address)

    def _freed(self, name: str, address: int):
        for stream in self._streams:
            self.finish(stream)
        del self._memory[address]
        self._starts.remove(address)
        return self._called(name, capturable=False) or (OK,)


def install(monkeypatch: pytest.MonkeyPatch, gpu: FakeGpu) -> None:
    """Let `from cuda.bindings import runtime` find it."""
    package = ModuleType("cuda.bindings")
    package.runtime = gpu  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cuda.bindings", package)
