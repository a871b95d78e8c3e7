"""A frame in two graphs on the CPU, launched as engines are: the talker, then one a codebook.

The runtime has no such backend: ONNX Runtime runs the fused frame faster. Here it shows what the
two graphs compute.
"""

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends import open_backend
from qwen3_tts_edge.backends.ort.graph import OrtGraph
from qwen3_tts_edge.backends.ort.state import OrtState
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, PREDICTOR_STEP, TALKER_STEP, Manifest
from qwen3_tts_edge.bundle.memory import capacity

SETTINGS = ("draws", "temperature", "top_k", "top_p")


def read(state: OrtState, name: str) -> Array:
    """What a state in CPU memory carries under the name of a past."""
    (found,) = (spec for spec in state.shared.spec.states if spec.past.name == name)
    nbytes = found.past.nbytes(state.sizes)
    content = (ctypes.c_uint8 * nbytes).from_address(state.past(found))
    return np.frombuffer(content, found.past.stored).reshape(found.past.sized(state.sizes)).copy()


@dataclass
class SteppedState:
    """What the two graphs carry: a `backends.State`."""

    talker: OrtState
    predictor: OrtState

    @property
    def slots(self) -> int:
        return self.talker.slots

    def view(self, first: int, slots: int = 1) -> "SteppedState":
        return SteppedState(self.talker.view(first, slots), self.predictor.view(first, slots))

    def clear(self, *names: str) -> None:
        self.talker.clear(*names)
        self.predictor.clear(*names)

    def copy(self, other: "SteppedState", positions: int | None = None) -> None:
        self.talker.copy(other.talker, positions)
        self.predictor.copy(other.predictor, positions)


class SteppedFrame:
    """The graphs `talker_step` and `predictor_step` as a `backends.FrameGraph`."""

    ahead = 0
    seconds = 0.0
    slots = None

    def __init__(self, talker: OrtGraph, predictor: OrtGraph, capacity: int) -> None:
        self.capacity = capacity
        self._talker, self._predictor = talker, predictor

    @classmethod
    def open(cls, folder: Path, capacity: int) -> "SteppedFrame":
        manifest, backend = Manifest.load(folder), open_backend("ort-cpu", threads=1)
        names = (TALKER_STEP, PREDICTOR_STEP)
        return cls(*(backend.open(folder, manifest.graphs[name]) for name in names), capacity)

    def state(self, slots: int, positions: int | None = None) -> SteppedState:
        talker = self._talker.state(slots, capacity=positions or self.capacity)
        return SteppedState(talker, self._predictor.state(slots))

    def launch(self, inputs: Mapping[str, Array], state: SteppedState) -> Callable[[], Array]:
        settings = {name: inputs[name] for name in (*SETTINGS, "length")}
        feedback = read(state.predictor, "past.feedback")
        chosen = self._talker.run({**inputs, "feedback": feedback}, state.talker)
        for step in range(inputs["draws"].shape[1]):
            self._predictor.run({**chosen, **settings, "step": np.array([step])}, state.predictor)
        codes = read(state.predictor, "past.codes")
        return lambda: codes


def speaking_in_steps(fused: Path, stepped: Path) -> Synthesizer:
    """A synthesizer of the bundle `fused` whose frames are made by the graphs of `stepped`."""
    bundle, backend = Bundle.open(fused), open_backend("ort-cpu", threads=1)
    frame = SteppedFrame.open(stepped, capacity(bundle.manifest))
    codec = backend.open(fused, bundle.manifest.graphs[CODEC_DECODER])
    return Synthesizer(bundle, backend, frame, codec, slots=4)
