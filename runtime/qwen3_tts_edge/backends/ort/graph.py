"""A graph in ONNX Runtime, and what its launches are bound to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime as ort

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends import State
from qwen3_tts_edge.backends.launches import Launches
from qwen3_tts_edge.backends.ort.cpu_memory import CpuMemory
from qwen3_tts_edge.backends.ort.session import check_tensors
from qwen3_tts_edge.backends.ort.state import Memory, OrtState
from qwen3_tts_edge.bundle.graph_spec import GraphSpec, TensorSpec
from qwen3_tts_edge.bundle.manifest import TOTAL

UNCAPTURED = -1
"""No CUDA graph, in ONNX Runtime's numbers for them."""
_BFLOAT16 = 16
"""TensorProto.BFLOAT16. numpy cannot name the type, so it is bound by ONNX's number for it."""


@dataclass(frozen=True)
class Binding:
    """Everything a launch reads and writes, bound for inputs of certain shapes and a state.

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
    """A session: a `backends.Graph`. Inputs, outputs and states live in buffers of one memory."""

    def __init__(
        self,
        session: ort.InferenceSession,
        spec: GraphSpec,
        memory: Memory | None = None,
        *,
        at_once: int = 1,
    ) -> None:
        """Take a session.

        Args:
            session: Of the graph.
            spec: What the manifest says of it.
            memory: Where its buffers lie; None is this process's.
            at_once: Launches that may run at once.

        Raises:
            BundleError: The graph is not the one that the manifest describes.
        """
        check_tensors(session, spec)
        self.most: Mapping[str, int] = {}
        self.at_once = at_once
        self._launches = Launches("ONNX Runtime", spec.file)
        self.spec = spec
        self._session = session
        self._memory = memory or CpuMemory()

    @property
    def seconds(self) -> float:
        """Time spent in launches."""
        return self._launches.seconds

    def state(self, slots: int = 1, **sizes: int) -> OrtState:
        """Allocate what the graph carries, as `backends.Graph.state` says."""
        return OrtState.allocate(self._memory, self.spec, {"batch": slots, **sizes})

    def run(self, inputs: Mapping[str, Array], state: State) -> dict[str, Array]:
        """Launch once, as `backends.Graph.run` says."""
        assert isinstance(state, OrtState)
        values = {
            spec.name: np.ascontiguousarray(inputs[spec.name], spec.stored)
            for spec in self.spec.inputs
        }
        binding = self._bound([value.shape for value in values.values()], state)
        for name, value in values.items():
            if not np.array_equal(binding.held.get(name, ()), value):  # settings seldom change
                binding.inputs[name].update_inplace(value)
                binding.held[name] = value.copy()
        with self._launches.one():
            self._launch(binding, state)
        state.launched()
        return {name: np.array(value.numpy()) for name, value in binding.outputs.items()}

    def _launch(self, binding: Binding, state: OrtState) -> None:
        self._session.run_with_iobinding(binding.io)

    def _bound(self, shapes: Sequence[tuple[int, ...]], state: OrtState) -> Binding:
        """What is bound for inputs of these shapes and for the state as it lies now.

        Other shapes give their buffers up, but for those that a captured graph has in it.
        """
        slots = (state.first, state.slots)
        key = (*shapes, slots, state.turn)
        bindings: dict[Any, Binding] = state.shared.bindings
        if key not in bindings:
            for known in [known for known in bindings if known[-2] == slots]:
                if known[:-1] != key[:-1] and bindings[known].graph == UNCAPTURED:
                    del bindings[known]
            sizes = state.sizes
            for spec, shape in zip(self.spec.inputs, shapes, strict=True):
                named = zip(spec.shape, shape, strict=True)
                sizes |= {axis: size for axis, size in named if isinstance(axis, str)}
            bindings[key] = self._bind(sizes, state)
        return bindings[key]

    def _graph_number(self, sizes: Mapping[str, int], state: OrtState) -> int:
        """What launches with these sizes are captured as."""
        return UNCAPTURED

    def _bind(self, sizes: Mapping[str, int], state: OrtState) -> Binding:
        io = self._session.io_binding()
        inputs = {spec.name: self._buffer(spec, sizes) for spec in self.spec.inputs}
        outputs = {spec.name: self._buffer(spec, sizes) for spec in self.spec.outputs}
        for spec in self.spec.inputs:
            io.bind_input(*self._place(spec, spec.name, sizes, inputs[spec.name].data_ptr()))
        for spec in self.spec.outputs:
            io.bind_output(*self._place(spec, spec.name, sizes, outputs[spec.name].data_ptr()))
        for each in self.spec.states:
            past, present = state.past(each), state.present(each)
            io.bind_input(*self._place(each.past, each.past.name, sizes, past))
            io.bind_output(*self._place(each.past, each.present, sizes, present))
        return Binding(io, inputs, outputs, self._graph_number(sizes, state))

    def _place(
        self, spec: TensorSpec, name: str, sizes: Mapping[str, int], at: int
    ) -> tuple[Any, ...]:
        kind = _BFLOAT16 if spec.dtype == "bfloat16" else spec.stored
        return name, self._device(spec), 0, kind, spec.sized(sizes), at

    def _buffer(self, spec: TensorSpec, sizes: Mapping[str, int]) -> ort.OrtValue:
        """Zeros."""
        zeros = np.zeros(spec.sized(sizes), spec.stored)
        if self._device(spec) == "cpu":
            return ort.OrtValue.ortvalue_from_numpy(zeros)
        value = ort.OrtValue.ortvalue_from_shape_and_type(
            zeros.shape, spec.stored, self._memory.device, 0
        )
        value.update_inplace(zeros)
        return value

    def _device(self, spec: TensorSpec) -> str:
        """Where a tensor lies: the kernel that reads `total` reads it on the CPU."""
        return "cpu" if spec.name == TOTAL else self._memory.device
