"""A frame in two graphs on the CPU, launched as engines are: the talker, then one a codebook.

The runtime has no such backend: ONNX Runtime runs the fused frame faster. Here it shows what the
two graphs compute.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.backends import Array, open_backend
from qwen3_tts_edge.backends.ort.graph import OrtGraph
from qwen3_tts_edge.bundle.manifest import PREDICTOR_STEP, TALKER_STEP, Manifest
from qwen3_tts_edge.speech.slots import FrameStep

SETTINGS = ("draws", "temperature", "top_k", "top_p")


class SteppedFrame:
    """The graphs `talker_step` and `predictor_step` as a `backends.FrameGraph`."""

    ahead = 0
    seconds = 0.0

    def __init__(self, talker: OrtGraph, predictor: OrtGraph, capacity: int) -> None:
        self.capacity = capacity
        self._talker, self._predictor = talker, predictor

    @classmethod
    def open(cls, folder: Path, capacity: int) -> "SteppedFrame":
        manifest, backend = Manifest.load(folder), open_backend("ort-cpu", threads=1)
        sizes = {"batch": 1, "capacity": capacity}
        return cls(
            *(
                backend.open(folder, manifest.graphs[name], sizes)
                for name in (TALKER_STEP, PREDICTOR_STEP)
            ),
            capacity,
        )

    def launch(self, inputs: Mapping[str, Array]) -> Callable[[], Array]:
        settings = {name: inputs[name] for name in SETTINGS}
        chosen = self._talker.run({**inputs, "feedback": self.state("feedback")})
        for step in range(inputs["draws"].shape[1]):
            self._predictor.run({**chosen, **settings, "step": np.array([step])})
        codes = self.state("codes")
        return lambda: codes

    def state(self, name: str) -> Array:
        return np.array(self._predictor._past[f"past.{name}"].numpy())

    def begin(self) -> None:
        self._talker.reset("past.seen")
        self._predictor.reset("past.feedback")

    def resized(self, slots: int) -> "SteppedFrame":
        sizes = {"batch": slots}
        return SteppedFrame(
            self._talker.resized(sizes), self._predictor.resized(sizes), self.capacity
        )


def speaking_in_steps(fused: Path, stepped: Path) -> Synthesizer:
    """A synthesizer of the bundle `fused` whose frames are made by the graphs of `stepped`."""
    tts = Synthesizer.open(fused, threads=1, verify=False)
    tts.step = FrameStep(SteppedFrame.open(stepped, tts.step.capacity), tts.manifest)
    return tts
