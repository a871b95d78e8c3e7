"""A graph in OpenVINO that keeps its states inside, one set for each infer request."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends import State
from qwen3_tts_edge.backends.openvino.library import core
from qwen3_tts_edge.backends.openvino.tail import widen_tail
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.errors import BackendError, BundleError, reason

_BATCH = 1
"""Slots of a state: streams of sound are launched one by one, whenever each has frames."""


class OpenVinoState:
    """What one stream carries: a `backends.State`.

    Attributes:
        request: It holds the tensors; weights and what is computed in between are shared by all.
    """

    slots = _BATCH

    def __init__(self, request: Any, spec: GraphSpec) -> None:
        self.request = request
        # OpenVINO names a variable by its past and its present, one after the other.
        names = {state.past.name + state.present: state.past.name for state in spec.states}
        self._variables = {names[each.name]: each for each in request.query_state()}

    def view(self, first: int, slots: int = _BATCH) -> Self:
        """Give its one slot, as `backends.State.view` says."""
        assert (first, slots) == (0, _BATCH), f"slots {first}+{slots} of {_BATCH}"
        return self

    def clear(self, *names: str) -> None:
        """Set tensors to zero, as `backends.State.clear` says."""
        for name in names or self._variables:
            self._variables[name].reset()

    def copy(self, other: State, positions: int | None = None) -> None:
        """Take over what another state carries, as `backends.State.copy` says."""
        assert isinstance(other, OpenVinoState)
        for name, variable in self._variables.items():
            variable.state = other._variables[name].state

    def arrays(self) -> dict[str, Array]:
        """Give what it carries, as `backends.State.arrays` says."""
        return {name: np.array(each.state.data) for name, each in self._variables.items()}

    def fill(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `arrays` gave, as `backends.State.fill` says."""
        import openvino

        for name, variable in self._variables.items():
            variable.state = openvino.Tensor(np.ascontiguousarray(arrays[name]))


class OpenVinoGraph:
    """A compiled graph: a `backends.Graph`."""

    most: Mapping[str, int] = {}
    at_once = 1

    def __init__(self, folder: Path, spec: GraphSpec, options: Mapping[str, Any]) -> None:
        """Compile a graph for one slot and any number of frames.

        Args:
            folder: The bundle.
            spec: The graph.
            options: OpenVINO's, of the CPU.

        Raises:
            BundleError: OpenVINO cannot read the graph.
            BackendError: OpenVINO is not installed.
        """
        self.seconds = 0.0
        self._spec = spec
        self._turn = Lock()
        library = core()
        from openvino._offline_transformations import apply_make_stateful_transformation

        path = folder / spec.file
        try:
            model = library.read_model(str(path))
            model.reshape(dict(_shapes(spec)))
            widen_tail(model)
            pairs = {state.past.name: state.present for state in spec.states}
            apply_make_stateful_transformation(model, pairs)
            self._compiled = library.compile_model(model, "CPU", dict(options))
        except Exception as error:  # a damaged graph breaks what it is rewritten with, too
            raise BundleError(
                f"{path} cannot be loaded by OpenVINO: {reason(error)}", "export the bundle again"
            ) from error

    def state(self, slots: int = _BATCH) -> OpenVinoState:
        """Allocate what the graph carries, as `backends.Graph.state` says."""
        assert slots == _BATCH
        return OpenVinoState(self._compiled.create_infer_request(), self._spec)

    def run(self, inputs: Mapping[str, Array], state: State) -> dict[str, Array]:
        """Launch once, as `backends.Graph.run` says."""
        assert isinstance(state, OpenVinoState)
        given = {
            spec.name: np.ascontiguousarray(inputs[spec.name], spec.stored)
            for spec in self._spec.inputs
        }
        start = time.perf_counter()
        with self._turn:
            try:
                found = state.request.infer(given, share_inputs=True, share_outputs=True)
            except Exception as error:  # as ONNX Runtime's graphs do, whatever the kind
                raise BackendError(
                    f"OpenVINO cannot run {self._spec.file}: {reason(error)}",
                    "see that there is memory for it, or export the bundle again",
                ) from error
            self.seconds += time.perf_counter() - start
            return {spec.name: np.array(found[spec.name]) for spec in self._spec.outputs}


def _shapes(spec: GraphSpec) -> Iterator[tuple[str, list[int]]]:
    """What goes in: one slot, and -1 for what differs from launch to launch."""
    for tensor in (*spec.inputs, *(state.past for state in spec.states)):
        sizes = [-1 if isinstance(axis, str) else axis for axis in tensor.shape]
        if tensor.shape[:1] == ("batch",):
            sizes[0] = _BATCH
        yield tensor.name, sizes
