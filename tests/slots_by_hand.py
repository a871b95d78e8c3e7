"""Several requests in the slots of a frame graph, driven by hand: join, step, rest, leave.

Every launch is in flight for as long as the graph allows. What a request says must not depend on
what happens around it, so `company` has all of it happen, and `alone` none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from qwen3_tts_edge.backends import FrameGraph, State
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.speech import sampling

Arrays = dict[str, np.ndarray]
FRESH = ("past.feedback", "past.seen")
"""What a join begins without."""
OF_ALL = ("talker_ranks", "predictor_ranks")
"""Inputs that have no slots."""


@dataclass
class Speech:
    """A request.

    Attributes:
        inputs: Those of its frame of that number, of one slot, but for length and position, made
            anew each time. The rows of the first are its prompt.
        position: Where its next row goes.
        frame: The number of its next frame.
        codes: Of its frames.
    """

    inputs: Callable[[int], Arrays]
    position: int = 0
    frame: int = 0
    codes: list[np.ndarray] = field(default_factory=list)

    def take(self) -> Arrays:
        """The inputs of the next frame, which is then the one after."""
        given = dict(self.inputs(self.frame))
        given |= placed(given["rows"].shape[1], self.position)
        self.position += given["rows"].shape[1]
        self.frame += 1
        return given

    def rest(self) -> Arrays:
        """Inputs of a launch that it takes no part in."""
        given = dict(self.inputs(max(self.frame, 1)))
        given["rows"] = np.full_like(given["rows"], 1e3)
        return given | placed(0, self.position)


def placed(length: int, position: int) -> Arrays:
    """Where the rows of one slot go."""
    return {"length": np.array([length]), "position": np.array([position])}


class Slots:
    """A frame graph's slots, and who speaks in them."""

    def __init__(self, graph: FrameGraph, slots: int) -> None:
        self.graph = graph
        self.state = graph.state(slots)
        self.speaking: list[Speech] = []
        self._waiting: list[tuple[Callable[[], np.ndarray], list[Speech | None]]] = []

    def snapshot(self, speech: Speech, positions: int) -> State:
        """Read so much of a request's prompt in the next slot, and keep what was read."""
        view = self.state.view(len(self.speaking))
        view.clear(*FRESH)
        inputs = dict(speech.inputs(0))
        inputs["rows"] = inputs["rows"][:, :positions]
        self._launch(inputs | placed(positions, 0), view, [None])
        found = self.graph.state(1, positions=positions)
        found.copy(view, positions)
        return found

    def join(self, speech: Speech, after: State | None = None, positions: int = 0) -> None:
        """Let a request begin in the next slot, maybe after what is read of it already."""
        view = self.state.view(len(self.speaking))
        if after is not None:
            view.copy(after, positions)
        view.clear(*FRESH)  # or it would go on where the snapshot was left
        inputs = speech.take()
        inputs["rows"] = inputs["rows"][:, positions:]
        inputs |= placed(inputs["rows"].shape[1], positions)
        self._launch(inputs, view, [speech])
        self.speaking.append(speech)

    def step(self, *resting: Speech) -> None:
        """Speak a frame of everybody who does not rest."""
        each = [speech.rest() if speech in resting else speech.take() for speech in self.speaking]
        inputs = {
            name: value if name in OF_ALL else np.concatenate([given[name] for given in each])
            for name, value in each[0].items()
        }
        view = self.state.view(0, len(each))
        self._launch(inputs, view, [None if s in resting else s for s in self.speaking])

    def leave(self, speech: Speech) -> None:
        """Let a request end; the last one moves into its slot."""
        hole, last = self.speaking.index(speech), len(self.speaking) - 1
        if hole != last:
            moved = self.speaking[last]
            self.state.view(hole).copy(self.state.view(last), moved.position)
            self.speaking[hole] = moved
        self.speaking.pop()

    def read(self, ahead: int = 0) -> None:
        """Read the codes of all launches but so many."""
        while len(self._waiting) > ahead:
            wait, speeches = self._waiting.pop(0)
            for speech, codes in zip(speeches, wait(), strict=True):
                if speech is not None:
                    speech.codes.append(codes)

    def _launch(self, inputs: Mapping[str, np.ndarray], state: State, of: list) -> None:
        self.read(self.graph.ahead)
        self._waiting.append((self.graph.launch(inputs, state), of))
        for values in inputs.values():
            values.fill(0)  # the caller's arrays are his again


Inputs = Callable[[int], Arrays]


def random_request(manifest: Manifest, seed: int, prompt: int) -> Inputs:
    """A request of a bundle: as many rows of no text, settings and draws."""
    codes = (manifest.vocab_size, manifest.codebook_size)
    asked = sampling.Sampling(
        temperature=0.7 + 0.1 * seed, top_k=5 * seed, top_p=0.9, repetition_penalty=1.1 + seed / 10
    )
    settings = asked.over(manifest.sampling)

    def inputs(frame: int) -> Arrays:
        random = np.random.default_rng([seed, frame])
        rows = (1, prompt if frame == 0 else 1, manifest.hidden_size)
        return {
            "rows": random.normal(size=rows).astype(np.float32),
            "draws": sampling.draws(seed, frame, manifest.codebooks)[None],
            "allow_end": np.array([frame > 1]),
            **sampling.inputs(settings, *codes),
            **sampling.ranks(np.array([codes]), *codes),
        }

    return inputs


def alone(graph: FrameGraph, inputs: Inputs, frames: int) -> np.ndarray:
    """The codes of a request by itself."""
    slots, speech = Slots(graph, 1), Speech(inputs)
    slots.join(speech)
    for _ in range(frames - 1):
        slots.step()
    slots.read()
    return np.array(speech.codes)


def company(graph: FrameGraph, requests: Sequence[Inputs], slots: int = 3) -> list[np.ndarray]:
    """The codes of five requests that come, rest and go; no two ever do the same at once.

    The prompts of the third and the last have more rows than one.
    """
    house = Slots(graph, slots)
    a, b, c, d, e = speeches = [Speech(inputs) for inputs in requests]
    house.join(a)
    house.step()
    house.step()
    house.join(b)  # while the step before is in flight
    house.step()
    house.step(a)
    house.step(a)
    house.step(b)
    kept = house.snapshot(c, 1)
    house.step()
    house.join(c, kept, 1)
    house.step()
    house.step(b, c)
    house.step(a)
    house.leave(a)  # c moves
    house.step()
    house.step(c)
    house.step()
    house.join(d)
    house.step()
    house.leave(b)
    house.leave(c)
    house.step()
    whole = e.inputs(0)["rows"].shape[1]
    kept = house.snapshot(e, whole - 1)
    house.join(e, kept, whole - 1)  # one row
    house.step()
    house.step(d)
    house.leave(d)
    house.step()
    house.step()
    house.read()
    return [np.array(speech.codes) for speech in speeches]


def assert_company_changes_nothing(
    graph: FrameGraph, requests: Sequence[Inputs], slots: int = 3
) -> None:
    """Five requests say together what each says alone, whichever of them comes first."""
    for _ in range(2):
        for found, inputs in zip(company(graph, requests, slots), requests, strict=True):
            assert np.array_equal(found, alone(graph, inputs, len(found)))
        requests = requests[::-1]
