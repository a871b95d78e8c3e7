"""A session of ONNX Runtime and the buffers it is bound to, in the memory of one device."""

import math
import mmap
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from typing_extensions import Self

from qwen3_tts_edge.backends import Array
from qwen3_tts_edge.bundle.graph_spec import GraphSpec, TensorSpec
from qwen3_tts_edge.errors import BackendError, BundleError

UNCAPTURED = -1
"""No CUDA graph, in ONNX Runtime's numbers for them."""
_BFLOAT16 = 16
"""TensorProto.BFLOAT16. numpy cannot name the type, so it is bound by ONNX's number for it."""

_ERRORS_ONLY = 3

Provider = str | tuple[str, Mapping[str, str]]


def session_options(threads: int | None) -> ort.SessionOptions:
    """What every session is opened with; None is one thread per physical core."""
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
    # Two sessions take turns. Left alone, the threads of the one that waits spin for a
    # while on the cores that the other needs: 1.5 to 2 times the time a frame.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def load(path: Path, options: ort.SessionOptions, provider: Provider) -> ort.InferenceSession:
    """Open a session that runs on this provider.

    Raises:
        BundleError: ONNX Runtime cannot read the graph.
        BackendError: Another provider runs it.
    """
    try:
        session = ort.InferenceSession(
            str(path), options, providers=[provider], enable_fallback=False
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no other parent
        raise BundleError(
            f"{path} cannot be loaded by ONNX Runtime {ort.__version__}: {error}"
        ) from error
    wanted = provider if isinstance(provider, str) else provider[0]
    running = session.get_providers()[0]
    if running != wanted:
        raise BackendError(
            f"asked for {wanted}, ONNX Runtime runs {running}; its messages above say why"
        )
    return session


@dataclass(frozen=True)
class Binding:
    """Everything a launch reads and writes, bound for inputs of certain shapes.

    Attributes:
        io: ONNX Runtime's part.
        inputs: Buffers to fill before a launch.
        outputs: Buffers to read after it.
        held: What the buffers were last filled with.
        graph: The number of the CUDA graph that its launches are captured as.
    """

    io: ort.IOBinding
    inputs: Mapping[str, ort.OrtValue]
    outputs: Mapping[str, ort.OrtValue]
    graph: int = UNCAPTURED
    held: dict[str, Array] = field(default_factory=dict)


class OrtGraph:
    """A session whose inputs, outputs and states live in buffers of one device.

    Buffers stay where they are from launch to launch. Where past and present may not share one
    there are two, and they change places after each launch.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        spec: GraphSpec,
        sizes: Mapping[str, int],
        device: str = "cpu",
    ) -> None:
        self.seconds = 0.0
        self.most: Mapping[str, int] = {}
        self._session = session
        self._spec = spec
        self._sizes = dict(sizes)
        self._device = device
        self._past = self._states()
        self._present = self._past if spec.in_place else self._states()
        self._bindings: dict[tuple[object, ...], Binding] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Launch once, as `backends.Graph.run` says."""
        values = {
            spec.name: np.ascontiguousarray(inputs[spec.name], spec.stored)
            for spec in self._spec.inputs
        }
        binding = self._bound([value.shape for value in values.values()])
        for name, value in values.items():
            if not np.array_equal(binding.held.get(name, ()), value):  # settings seldom change
                binding.inputs[name].update_inplace(value)
                binding.held[name] = value.copy()
        start = time.perf_counter()
        self._launch(binding)
        self.seconds += time.perf_counter() - start
        self._past, self._present = self._present, self._past
        return {name: np.array(value.numpy()) for name, value in binding.outputs.items()}

    def reset(self, *names: str) -> None:
        """Set states to zero, as `backends.Graph.reset` says."""
        for state in self._spec.states:
            if not names or state.past.name in names:
                zeros = np.zeros(state.past.sized(self._sizes), state.past.stored)
                self._past[state.past.name].update_inplace(zeros)

    def resized(self, sizes: Mapping[str, int]) -> Self:
        """Share the session, not the state, as `backends.Graph.resized` says."""
        return type(self)(self._session, self._spec, self._sizes | dict(sizes), self._device)

    def _launch(self, binding: Binding) -> None:
        self._session.run_with_iobinding(binding.io)

    def _bound(self, shapes: Sequence[tuple[int, ...]]) -> Binding:
        """What is bound for inputs of these shapes and for the states as they lie now.

        Other shapes give their buffers up, but for those that a captured graph has in it.
        """
        key = (*shapes, id(self._past))
        if key not in self._bindings:
            self._bindings = {
                known: binding
                for known, binding in self._bindings.items()
                if known[:-1] == key[:-1] or binding.graph != UNCAPTURED
            }
            for spec, shape in zip(self._spec.inputs, shapes, strict=True):
                named = zip(spec.shape, shape, strict=True)
                self._sizes |= {axis: size for axis, size in named if isinstance(axis, str)}
            self._bindings[key] = self._bind()
        return self._bindings[key]

    def _graph_number(self) -> int:
        """What launches with the sizes of now are captured as."""
        return UNCAPTURED

    def _bind(self) -> Binding:
        io = self._session.io_binding()
        inputs = {spec.name: self._buffer(spec) for spec in self._spec.inputs}
        outputs = {spec.name: self._buffer(spec) for spec in self._spec.outputs}
        for spec in self._spec.inputs:
            io.bind_input(*self._place(spec, spec.name, inputs[spec.name]))
        for spec in self._spec.outputs:
            io.bind_output(*self._place(spec, spec.name, outputs[spec.name]))
        for state in self._spec.states:
            past, present = self._past[state.past.name], self._present[state.past.name]
            io.bind_input(*self._place(state.past, state.past.name, past))
            io.bind_output(*self._place(state.past, state.present, present))
        return Binding(io, inputs, outputs, self._graph_number())

    def _place(self, spec: TensorSpec, name: str, buffer: ort.OrtValue) -> tuple[Any, ...]:
        kind = _BFLOAT16 if spec.dtype == "bfloat16" else spec.stored
        return name, self._device, 0, kind, spec.sized(self._sizes), buffer.data_ptr()

    def _states(self) -> dict[str, ort.OrtValue]:
        return {state.past.name: self._buffer(state.past) for state in self._spec.states}

    def _buffer(self, spec: TensorSpec) -> ort.OrtValue:
        """Zeros."""
        shape = spec.sized(self._sizes)
        if self._device == "cpu":
            return ort.OrtValue.ortvalue_from_numpy(_zeros(shape, spec.stored))
        value = ort.OrtValue.ortvalue_from_shape_and_type(shape, spec.stored, self._device, 0)
        value.update_inplace(np.zeros(shape, spec.stored))
        return value


def _zeros(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
    """Zeros whose memory is only taken when it is written: a KV cache is seldom full.

    numpy asks for huge pages, and then the first position of each head takes the room of all; a
    plain private mapping has small ones.
    """
    if sys.platform == "win32":
        return np.zeros(shape, dtype)
    size = math.prod(shape) * dtype.itemsize
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(pages, dtype=dtype).reshape(shape)
