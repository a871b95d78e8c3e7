"""ONNX Runtime on the CPU: one session a graph, every buffer bound once."""

import math
import mmap
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from qwen3_tts_edge.backends import Array
from qwen3_tts_edge.errors import BackendError, BundleError
from qwen3_tts_edge.manifest import GraphSpec, TensorSpec

try:
    import onnxruntime as ort
except ImportError as error:
    raise BackendError(
        "ONNX Runtime is not installed; run: pip install 'qwen3-tts-edge[cpu]'"
    ) from error

_PROVIDER = "CPUExecutionProvider"
_ERRORS_ONLY = 3


class OrtBackend:
    """Opens graphs on the CPU."""

    name = "ort-cpu"

    def __init__(self, *, threads: int | None = None) -> None:
        self._threads = threads

    def open(self, folder: Path, spec: GraphSpec, sizes: Mapping[str, int]) -> "OrtGraph":
        """Load a graph and allocate its state, as `backends.Backend.open` says.

        Raises:
            BundleError: ONNX Runtime cannot read the graph.
            BackendError: The session does not run where it should.
        """
        options = ort.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        # Two sessions take turns. Left alone, the threads of the one that waits spin for a
        # while on the cores that the other needs: 1.5 to 2 times the time a frame.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        path = folder / spec.file
        try:
            session = ort.InferenceSession(str(path), options, providers=[_PROVIDER])
        except Exception as error:  # ONNX Runtime's own exceptions share no other parent
            raise BundleError(
                f"{path} cannot be loaded by ONNX Runtime {ort.__version__}: {error}"
            ) from error
        running = session.get_providers()[0]
        if running != _PROVIDER:
            raise BackendError(f"asked for {_PROVIDER}, ONNX Runtime runs {running}")
        return OrtGraph(session, spec, sizes)


class OrtGraph:
    """A session whose inputs, outputs and states live in numpy buffers that it is bound to."""

    def __init__(
        self, session: ort.InferenceSession, spec: GraphSpec, sizes: Mapping[str, int]
    ) -> None:
        self.seconds = 0.0
        self._session = session
        self._spec = spec
        self._sizes = dict(sizes)
        self._binding = session.io_binding()
        self._inputs: dict[str, Array] = {}
        self._outputs: dict[str, Array] = {}
        self._past = {state.past.name: self._state(state.past) for state in spec.states}
        self._present: dict[str, Array] = {}
        for state in spec.states:
            past = self._past[state.past.name]
            present = past if spec.in_place else self._state(state.past)
            self._present[state.past.name] = present
            self._bind_input(state.past.name, past)
            self._bind_output(state.present, present)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Launch once, as `backends.Graph.run` says."""
        reshaped = [self._set_input(spec, inputs[spec.name]) for spec in self._spec.inputs]
        if any(reshaped):
            for output in self._spec.outputs:
                self._outputs[output.name] = self._zeros(output)
                self._bind_output(output.name, self._outputs[output.name])
        start = time.perf_counter()
        self._session.run_with_iobinding(self._binding)
        self.seconds += time.perf_counter() - start
        if not self._spec.in_place:
            for name, present in self._present.items():
                np.copyto(self._past[name], present)
        return {name: array.copy() for name, array in self._outputs.items()}

    def reset(self, *names: str) -> None:
        """Set states to zero, as `backends.Graph.reset` says."""
        for name in names or self._past:
            self._past[name].fill(0)

    def resized(self, sizes: Mapping[str, int]) -> "OrtGraph":
        """Share the session, not the state, as `backends.Graph.resized` says."""
        return OrtGraph(self._session, self._spec, self._sizes | dict(sizes))

    def _set_input(self, spec: TensorSpec, value: Array) -> bool:
        """Copy an input into its buffer; say whether it has another shape than last time."""
        buffer = self._inputs.get(spec.name)
        if buffer is not None and buffer.shape == value.shape:
            np.copyto(buffer, value)
            return False
        self._sizes |= {
            axis: size
            for axis, size in zip(spec.shape, value.shape, strict=True)
            if isinstance(axis, str)
        }
        self._inputs[spec.name] = np.array(value, dtype=spec.dtype, order="C")
        self._bind_input(spec.name, self._inputs[spec.name])
        return True

    def _state(self, spec: TensorSpec) -> Array:
        """Zeros whose memory is only taken when it is written: a KV cache is seldom full.

        numpy asks for huge pages, and then the first position of each head takes the room of
        all; a plain private mapping has small ones.
        """
        shape = [self._size(axis) for axis in spec.shape]
        size = math.prod(shape) * np.dtype(spec.dtype).itemsize
        if sys.platform == "win32":
            return np.zeros(shape, spec.dtype)
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        return np.frombuffer(pages, dtype=spec.dtype).reshape(shape)

    def _zeros(self, spec: TensorSpec) -> Array:
        return np.zeros([self._size(axis) for axis in spec.shape], dtype=spec.dtype)

    def _size(self, axis: int | str) -> int:
        """The size of an axis: a number, a name, `1920*frames`, or `samples/1920` rounded up."""
        if isinstance(axis, int):
            return axis
        product, _, divisor = axis.partition("/")
        factors = product.split("*")
        size = math.prod(int(f) if f.isdigit() else self._sizes[f] for f in factors)
        return -(-size // int(divisor or 1))

    def _bind_input(self, name: str, buffer: Array) -> None:
        self._binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(buffer))

    def _bind_output(self, name: str, buffer: Array) -> None:
        self._binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(buffer))
