"""A part of the codec decoder, compiled for some numbers of frames."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends.openvino.library import core
from qwen3_tts_edge.bundle.graph_spec import StateSpec

ANY = -1
"""A number of frames that differs from launch to launch."""


class Part:
    """A model that OpenVINO has compiled, once for each number of frames."""

    def __init__(
        self,
        model: Any,
        states: Sequence[StateSpec],
        shapes: Mapping[int, Mapping[str, Sequence[int]]],
        options: Mapping[str, Any],
    ) -> None:
        """Compile a model.

        Args:
            model: An `openvino.Model`.
            states: What it carries from launch to launch; those of other parts are none of its.
            shapes: Of inputs, its own among them, for each number of frames, the largest first.
            options: OpenVINO's, of the CPU.
        """
        from openvino._offline_transformations import apply_make_stateful_transformation

        names = _names(model)
        self.states = [state for state in states if state.past.name in names]
        pairs = {state.past.name: state.present for state in self.states}
        self.compiled = {}
        for frames, inputs in shapes.items():
            stateful = shaped(model, inputs)
            apply_make_stateful_transformation(stateful, pairs)
            self.compiled[frames] = core().compile_model(stateful, "CPU", dict(options))

    def launches(self, frames: int) -> Iterator[tuple[int, slice]]:
        """Yield the launches that frames take: what each was compiled for, and which of them."""
        start = 0
        while start < frames:
            size = next(each for each in self.compiled if each <= frames - start)
            end = frames if size == ANY else start + size
            yield size, slice(start, end)
            start = end


class PartState:
    """What one stream carries in a part: in the request of the number of frames launched last."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._requests: dict[int, Any] = {}
        self._last = min(part.compiled)

    def clear(self) -> None:
        """Set all of it to zero, ready for the few frames that a stream begins with."""
        self._last = min(self._part.compiled)
        for variable in self.variables().values():
            variable.reset()

    def launch(self, frames: int, inputs: Mapping[str, Array]) -> Any:
        """Launch what was compiled for a number of frames; give what comes out, by name.

        That lies in buffers of the request, which the next launch writes anew.
        """
        if frames != self._last:
            carried = self.variables()
            self._last = frames
            for name, variable in self.variables().items():
                variable.state = carried[name].state
        return self._request().infer(dict(inputs), share_inputs=True, share_outputs=True)

    def variables(self) -> dict[str, Any]:
        """Give OpenVINO's variables, by the names of the pasts."""
        # OpenVINO names a variable by its past and its present, one after the other.
        names = {each.past.name + each.present: each.past.name for each in self._part.states}
        return {names[each.name]: each for each in self._request().query_state()}

    def _request(self) -> Any:
        if self._last not in self._requests:
            self._requests[self._last] = self._part.compiled[self._last].create_infer_request()
        return self._requests[self._last]


def shaped(model: Any, shapes: Mapping[str, Sequence[int]]) -> Any:
    """Give a copy of a model, with these shapes for those of its inputs that are named."""
    names = _names(model)
    copied = model.clone()
    copied.reshape({name: list(sizes) for name, sizes in shapes.items() if name in names})
    return copied


def _names(model: Any) -> set[str]:
    return {name for tensor in model.inputs for name in tensor.get_names()}
