"""The codec decoder in OpenVINO, compiled for numbers of frames, its states inside."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends import SMALL, State
from qwen3_tts_edge.backends.launches import Launches
from qwen3_tts_edge.backends.openvino.end import widen_end
from qwen3_tts_edge.backends.openvino.halves import MIDDLE, halves
from qwen3_tts_edge.backends.openvino.library import core, precision
from qwen3_tts_edge.backends.openvino.part import ANY, Part, PartState, shaped
from qwen3_tts_edge.backends.openvino.state import BATCH, OpenVinoState
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.errors import BundleError, reason

_WHOLE = (4, 2, 1)
"""What a small graph is compiled for: what streams launch, but that eight take no less than twice
four."""
_BACK = (4, 1)
"""What the back of a large one is compiled for: two at once gain little there."""


class OpenVinoGraph:
    """A compiled codec decoder: a `backends.Graph`."""

    most: Mapping[str, int] = {}

    def __init__(self, folder: Path, spec: GraphSpec, threads: int) -> None:
        """Compile a graph for one slot.

        Args:
            folder: The bundle.
            spec: The codec decoder: what goes in is `codes` and `position`, samples come out.
            threads: CPU threads that work at once: on one launch, or on a launch each of a small
                graph.

        Raises:
            BundleError: OpenVINO cannot read the graph.
            BackendError: OpenVINO is not installed.
        """
        small = spec.reads.total < SMALL
        self.at_once = threads if small else 1
        self._launched = Launches("OpenVINO", spec.file)
        self._spec = spec
        self._options = {
            "INFERENCE_PRECISION_HINT": precision(),
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": self.at_once,
            # ONNX Runtime's threads and these take turns on all processors.
            "ENABLE_CPU_PINNING": False,
        }
        path = folder / spec.file
        library = core()
        try:
            model = library.read_model(str(path))
            model.reshape(_shapes(spec, ANY))
            widen_end(model)
            self._parts = [self._whole(model)] if small else self._halves(model)
        except Exception as error:  # a damaged graph breaks what it is rewritten with, too
            raise BundleError(
                f"{path} cannot be loaded by OpenVINO: {reason(error)}", "export the bundle again"
            ) from error

    def _whole(self, model: Any) -> Part:
        shapes = {frames: _shapes(self._spec, frames) for frames in _WHOLE}
        return Part(model, self._spec.states, shapes, self._options)

    def _halves(self, model: Any) -> list[Part]:
        front, back = halves(model, [each.name for each in self._spec.inputs], _samples(self._spec))
        one = shaped(front, _shapes(self._spec, 1)).output(MIDDLE).shape
        # What goes into the front is known behind, too: its length says where states end.
        sizes = {
            frames: {**_shapes(self._spec, frames), MIDDLE: [*one[:-1], one[-1] * frames]}
            for frames in _BACK
        }
        states = self._spec.states
        return [
            Part(front, states, {ANY: _shapes(self._spec, ANY)}, self._options),
            Part(back, states, sizes, self._options),
        ]

    @property
    def seconds(self) -> float:
        """Time spent in launches."""
        return self._launched.seconds

    def state(self, slots: int = BATCH) -> OpenVinoState:
        """Allocate what the graph carries, as `backends.Graph.state` says."""
        assert slots == BATCH
        return OpenVinoState([PartState(part) for part in self._parts])

    def run(self, inputs: Mapping[str, Array], state: State) -> dict[str, Array]:
        """Launch once, as `backends.Graph.run` says."""
        assert isinstance(state, OpenVinoState)
        given = {
            spec.name: np.ascontiguousarray(inputs[spec.name], spec.stored)
            for spec in self._spec.inputs
        }
        with self._launched.one():
            samples = np.concatenate(list(self._launches(given, state)), axis=-1)
        return {_samples(self._spec): samples}

    def _launches(self, given: Mapping[str, Array], state: OpenVinoState) -> Iterator[Array]:
        """Launch what was compiled, as often as the frames need it; yield their samples."""
        codes, position = given["codes"], given["position"]
        for size, frames in self._parts[0].launches(codes.shape[1]):
            piece = {"codes": codes[:, frames].copy(), "position": position + frames.start}
            found = state.parts[0].launch(size, piece)
            if len(self._parts) == 1:
                yield found[_samples(self._spec)].copy()
            else:
                yield from self._behind(found[MIDDLE], frames.stop - frames.start, state)

    def _behind(self, middle: Array, frames: int, state: OpenVinoState) -> Iterator[Array]:
        steps = middle.shape[-1] // frames
        for size, piece in self._parts[1].launches(frames):
            taken = middle[..., piece.start * steps : piece.stop * steps].copy()
            yield state.parts[1].launch(size, {MIDDLE: taken})[_samples(self._spec)].copy()


def _samples(spec: GraphSpec) -> str:
    (output,) = spec.outputs
    return output.name


def _shapes(spec: GraphSpec, frames: int) -> dict[str, list[int]]:
    """What goes in, for one slot."""
    sizes = {"batch": BATCH, "frames": frames}
    tensors = (*spec.inputs, *(state.past for state in spec.states))
    return {each.name: list(each.sized(sizes)) for each in tensors}
