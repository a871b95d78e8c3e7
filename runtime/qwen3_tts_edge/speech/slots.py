"""The frame graph at work for several who speak at once: they join, step and leave.

Slots 0 to `count` - 1 are taken, without gaps, so that a step is one launch of the first so many.
Slots know rows, positions and draws; no text, no sound and no threads.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.arrays import Codes, Rows
from qwen3_tts_edge.backends import FrameGraph, State
from qwen3_tts_edge.bundle.manifest import Manifest, SamplingDefaults
from qwen3_tts_edge.speech import sampling

Pending = Callable[[], Codes]
"""Waits for a launch and returns its codes, int64 (slots launched, codebooks)."""

_STARTS_EMPTY = ("past.feedback", "past.seen")
"""What an utterance must not find of the one before. Its KV cache is never read again."""


class Slots:
    """The state of those who speak: what the graph carries, and where each of them is.

    Attributes:
        manifest: Of the bundle.
        most: How many there are.
        count: How many are taken.
        capacity: Positions of the KV cache of each.
        ahead: Frames that may be launched before the codes of one are read.
        state: What the graph carries for all of them.
    """

    def __init__(self, graph: FrameGraph, manifest: Manifest, most: int) -> None:
        self.most = most
        self.count = 0
        self.capacity = graph.capacity
        self.ahead = graph.ahead
        self._graph = graph
        self.manifest = manifest
        self.state = graph.state(most)
        self._position = np.zeros(most, np.int64)
        self._frame = np.zeros(most, np.int64)
        self._seed = np.zeros(most, np.uint64)
        self._settings: list[dict[str, npt.NDArray[np.generic]]] = [{}] * most

    def join(
        self, settings: SamplingDefaults, seed: int, opening: tuple[State, int] | None = None
    ) -> None:
        """Take the next slot, for an utterance that has read nothing yet, or only an opening.

        Args:
            settings: How its codes are chosen.
            seed: Of its draws.
            opening: A state that has read so many rows of its prompt, from `open`.
        """
        slot, mine = self.count, self.state.view(self.count)
        self._position[slot] = 0
        if opening is not None:
            mine.copy(*opening)
            self._position[slot] = opening[1]
        mine.clear(*_STARTS_EMPTY)
        self._frame[slot], self._seed[slot] = 0, seed
        sizes = (self.manifest.vocab_size, self.manifest.codebook_size)
        self._settings[slot] = sampling.inputs(settings, *sizes)
        self.count += 1

    def open(self, rows: Rows, settings: SamplingDefaults) -> State:
        """Read the rows that many prompts begin with, for each of them to join with.

        A free slot is used for it, and is free again.

        Args:
            rows: float32 (n, hidden).
            settings: Of any utterance; the frame that the launch ends in is thrown away.
        """
        self.join(settings, seed=0)
        self.read(rows)
        self.count -= 1
        state = self._graph.state(1, len(rows))
        state.copy(self.state.view(self.count), len(rows))
        return state

    def read(self, rows: Rows) -> Pending:
        """Read a prompt, or what is left of it, into the slot that was taken last.

        Args:
            rows: float32 (n, hidden).

        Returns:
            What waits for its first frame, int64 (1, codebooks).
        """
        return self._launch(self.count - 1, [rows])

    def step(self, rows: Sequence[Rows | None]) -> Pending:
        """Make a frame of everybody.

        Args:
            rows: For each slot that is taken float32 (1, hidden); None lets it rest: it stays as
                it is, and its codes mean nothing.

        Returns:
            What waits for the codes.
        """
        assert len(rows) == self.count
        return self._launch(0, rows)

    def leave(self, slot: int) -> None:
        """Give a slot up: who has the last one moves there."""
        last = self.count = self.count - 1
        if slot != last:
            self.state.view(slot).copy(self.state.view(last), int(self._position[last]))
            for each in (self._position, self._frame, self._seed):
                each[slot] = each[last]
            self._settings[slot] = self._settings[last]

    def clear(self) -> None:
        """Give all slots up."""
        self.count = 0

    def _launch(self, first: int, rows: Sequence[Rows | None]) -> Pending:
        here = slice(first, first + len(rows))
        length = np.array([0 if row is None else len(row) for row in rows])
        longest = max(1, int(length.max()))
        assert (self._position[here][length > 0] + longest <= self.capacity).all()
        # A slot at rest is written behind its end, which nobody reads, and never behind the cache.
        position = np.minimum(self._position[here], self.capacity - 1)
        padded = np.zeros((len(rows), longest, self.manifest.hidden_size), np.float32)
        for slot, row in enumerate(rows):
            if row is not None:
                padded[slot, : len(row)] = row
        settings = {
            name: np.concatenate([each[name] for each in self._settings[here]])
            for name in self._settings[first]
        }
        inputs = {
            "rows": padded,
            "length": length,
            "position": position,
            "draws": np.stack([self._draws(slot) for slot in range(first, first + len(rows))]),
            "allow_end": self._frame[here] >= sampling.MIN_FRAMES,
            **settings,
            **sampling.ranks(
                settings["top_k"], self.manifest.vocab_size, self.manifest.codebook_size
            ),
        }
        wait = self._graph.launch(inputs, self.state.view(first, len(rows)))
        self._position[here] += length
        self._frame[here] += length > 0
        return lambda: wait().astype(np.int64, copy=False)

    def _draws(self, slot: int) -> npt.NDArray[np.float32]:
        seed, frame = int(self._seed[slot]), int(self._frame[slot])
        return sampling.draws(seed, frame, self.manifest.codebooks)
