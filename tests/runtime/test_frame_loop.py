"""The loop over a graph that says what it is told: what is launched, and when codes are read."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.speech.prompt import Prompt
from qwen3_tts_edge.speech.sampling import Sampling
from qwen3_tts_edge.speech.slots import FrameStep, Utterance, frames

PROMPT = 5


class Script:
    """A frame graph: slot b ends its speech at frame ends[b], or never where that is None.

    Attributes:
        events: ("launch" or "read", frame), in order.
        positions: Of every launch, with the rows it read: (position, length) for each slot.
    """

    capacity = 64
    seconds = 0.0

    def __init__(self, manifest: Manifest, ends: Sequence[int | None], ahead: int) -> None:
        self.ahead = ahead
        self.events: list[tuple[str, int]] = []
        self.positions: list[list[tuple[int, int]]] = []
        self._manifest, self._ends = manifest, ends

    def begin(self) -> None:
        self._launched = 0

    def resized(self, slots: int) -> "Script":
        raise NotImplementedError

    def launch(self, inputs: Mapping[str, np.ndarray]) -> Callable[[], np.ndarray]:
        frame, self._launched = self._launched, self._launched + 1
        self.events.append(("launch", frame))
        pairs = zip(inputs["position"].tolist(), inputs["length"].tolist(), strict=True)
        self.positions.append(list(pairs))

        def read() -> np.ndarray:
            self.events.append(("read", frame))
            codes = np.full((len(self._ends), self._manifest.codebooks), frame)
            for slot, end in enumerate(self._ends):
                if frame == end:
                    codes[slot, 0] = self._manifest.control_codes.end_of_speech
            return codes

        return read


@pytest.fixture(scope="module")
def manifest(voice_bundle: Path) -> Manifest:
    return Manifest.load(voice_bundle)


def speak(
    manifest: Manifest, ends: Sequence[int | None], limits: Sequence[int], ahead: int
) -> tuple[Script, list[list[int]], list[bool | None]]:
    """What was launched, which frames each slot spoke, and whether it ended by itself."""
    script = Script(manifest, ends, ahead)
    row = np.zeros((1, manifest.hidden_size), np.float32)
    prompt = Prompt(row.repeat(PROMPT, 0), row[:0], row[0])
    settings = Sampling().over(manifest.sampling)
    utterances = [Utterance(prompt, settings, seed, limit) for seed, limit in enumerate(limits)]
    spoken: list[list[int]] = [[] for _ in ends]
    for made in frames(FrameStep(script, manifest, len(ends)), utterances, manifest):
        for slot, codes in enumerate(made):
            if codes is not None:
                spoken[slot].append(int(codes[1]))
    return script, spoken, [utterance.ended for utterance in utterances]


@pytest.mark.parametrize("ahead", [0, 1])
def test_the_end_of_speech_is_seen_as_many_frames_late_as_are_ahead(
    manifest: Manifest, ahead: int
) -> None:
    script, spoken, ended = speak(manifest, [7], [20], ahead)
    assert (spoken, ended) == ([list(range(7))], [True])
    launches = [frame for what, frame in script.events if what == "launch"]
    assert launches == list(range(8 + ahead))
    for frame in range(8):
        read = script.events.index(("read", frame))
        assert sum(what == "launch" for what, _ in script.events[:read]) == frame + 1 + ahead


@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("limit", [1, 2, 6])
def test_nothing_is_launched_beyond_the_limit(manifest: Manifest, limit: int, ahead: int) -> None:
    script, spoken, ended = speak(manifest, [None], [limit], ahead)
    assert (spoken, ended) == ([list(range(limit))], [False])
    assert len(script.positions) == limit
    assert script.positions[-1] == [(PROMPT + limit - 2, 1) if limit > 1 else (0, PROMPT)]


@pytest.mark.parametrize("ahead", [0, 1])
def test_slots_of_a_batch_end_one_by_one(manifest: Manifest, ahead: int) -> None:
    script, spoken, ended = speak(manifest, [2, None, 6], [20, 4, 20], ahead)
    assert spoken == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]
    assert ended == [True, False, True]
    assert len(script.positions) == 7 + ahead
    rests = [[position == 0 for position, _ in launch] for launch in script.positions[1:]]
    assert [sum(slot) for slot in zip(*rests, strict=True)] == [4, 3 + ahead, 0]
