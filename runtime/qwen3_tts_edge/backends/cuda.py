"""What the TensorRT backend asks of CUDA: memory, copies, streams, events, captured graphs.

Addresses and handles are plain numbers. Everything but allocating and waiting is asynchronous, in
the order of its stream.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qwen3_tts_edge.errors import BackendError, lack

_REMEDIES = {
    "cudaErrorInsufficientDriver": "install or update the NVIDIA driver, or take the cuda-python "
    "of the CUDA version that `nvidia-smi` shows",
    "cudaErrorNoDevice": "choose another backend, for this machine has no NVIDIA GPU",
    "cudaErrorMemoryAllocation": "close what else uses the GPU's memory, or build engines for "
    "shorter speech",
}
_RESTART = "start the program again, for the GPU's state is lost, and if it recurs, report it"


@dataclass(frozen=True)
class Device:
    """A GPU: its name, and its compute capability as `sm_89`."""

    name: str
    capability: str


class Cuda:
    """The CUDA runtime. Every failure is a `BackendError` that names the call."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            BackendError: It is not installed.
        """
        try:
            from cuda.bindings import runtime
        except ImportError as error:
            raise BackendError(
                f"cuda-python {lack(error)}",
                "run: pip install cuda-python, of the CUDA version that `nvidia-smi` shows",
            ) from error
        self._cuda: Any = runtime

    def device(self) -> Device:
        """The GPU in use."""
        found = self._call("cudaGetDeviceProperties", self._call("cudaGetDevice"))
        return Device(found.name.decode(), f"sm_{found.major}{found.minor}")

    def driver(self) -> str:
        """The newest CUDA version that the installed driver runs, as 13.2."""
        version = int(self._call("cudaDriverGetVersion"))
        return f"{version // 1000}.{version % 1000 // 10}"

    def free_memory(self) -> int:
        """Bytes of the GPU's memory that nobody uses."""
        return int(self._call("cudaMemGetInfo"))

    def allocate(self, nbytes: int) -> int:
        """Take device memory; its content is undefined."""
        return int(self._call("cudaMalloc", nbytes))

    def free(self, address: int) -> None:
        """Give device memory back, after everything that was launched has ended."""
        self._call("cudaFree", address)

    def allocate_pinned(self, nbytes: int) -> int:
        """Take host memory that the GPU copies from and to by itself."""
        return int(self._call("cudaHostAlloc", nbytes, self._cuda.cudaHostAllocDefault))

    def free_pinned(self, address: int) -> None:
        """Give it back."""
        self._call("cudaFreeHost", address)

    def stream(self) -> int:
        """A new queue of work, which waits for no other."""
        return int(self._call("cudaStreamCreateWithFlags", self._cuda.cudaStreamNonBlocking))

    def destroy_stream(self, stream: int) -> None:
        """Forget a stream once its work has ended."""
        self._call("cudaStreamDestroy", stream)

    def event(self) -> int:
        """A new mark to set in a stream. Whoever waits for it sleeps and leaves its core free."""
        flags = self._cuda.cudaEventDisableTiming | self._cuda.cudaEventBlockingSync
        return int(self._call("cudaEventCreateWithFlags", flags))

    def destroy_event(self, event: int) -> None:
        """Forget an event."""
        self._call("cudaEventDestroy", event)

    def copy(self, to: int, source: int, nbytes: int, stream: int) -> None:
        """Copy between any two of device and pinned host memory."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDefault
        self._call("cudaMemcpyAsync", to, source, nbytes, kind, stream)

    def copy_rows(
        self, to: int, to_pitch: int, source: int, pitch: int, width: int, rows: int, stream: int
    ) -> None:
        """Copy `width` bytes of each of some rows, which begin a pitch apart."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDefault
        self._call("cudaMemcpy2DAsync", to, to_pitch, source, pitch, width, rows, kind, stream)

    def clear(self, address: int, nbytes: int, stream: int) -> None:
        """Set device memory to zero."""
        self._call("cudaMemsetAsync", address, 0, nbytes, stream)

    def record(self, event: int, stream: int) -> None:
        """Mark the place that a stream's work has now."""
        self._call("cudaEventRecord", event, stream)

    def wait(self, event: int) -> None:
        """Block until the stream has come to the event's mark; at once if it was never set."""
        self._call("cudaEventSynchronize", event)

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """Note down what `work` launches on the stream, without running it.

        Returns:
            A graph to `launch`, with the addresses and sizes that the work had.
        """
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)
        try:
            work()
        except BaseException:
            with contextlib.suppress(BackendError):  # or the stream would go on noting down
                self._call("cudaGraphDestroy", self._call("cudaStreamEndCapture", stream))
            raise
        noted = self._call("cudaStreamEndCapture", stream)
        graph = int(self._call("cudaGraphInstantiate", noted, 0))
        self._call("cudaGraphDestroy", noted)
        return graph

    def launch(self, graph: int, stream: int) -> None:
        """Run a captured graph: one call, however much is in it."""
        self._call("cudaGraphLaunch", graph, stream)

    def destroy_graph(self, graph: int) -> None:
        """Forget a captured graph."""
        self._call("cudaGraphExecDestroy", graph)

    def _call(self, name: str, *arguments: object) -> Any:
        try:
            error, *results = getattr(self._cuda, name)(*arguments)
        except RuntimeError as failure:  # cuda-python before 13, where there is no driver
            remedy = _REMEDIES["cudaErrorInsufficientDriver"]
            raise BackendError(f"{name} failed: {failure}", remedy) from failure
        if error != self._cuda.cudaError_t.cudaSuccess:
            _, text = self._cuda.cudaGetErrorString(error)
            remedy = _REMEDIES.get(error.name, _RESTART)
            raise BackendError(f"{name} failed: {text.decode()} ({error.name})", remedy)
        return results[0] if results else None
