"""The one loop: prompt → frames, until end of speech. Nothing else in the runtime loops."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.backends import FrameGraph
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.tables import Rows
from qwen3_tts_edge.errors import CapacityError
from qwen3_tts_edge.speech.prompt import Prompt
from qwen3_tts_edge.speech.sampling import MIN_FRAMES, Sampling, draws, ranks

Codes = npt.NDArray[np.int64]
"""int64 (codebooks,): one frame, codebook 0 first."""


@dataclass
class Utterance:
    """One thing to say, in one slot of the batch.

    Attributes:
        prompt: What to say.
        sampling: Complete settings.
        seed: Of the draws.
        limit: At most this many frames.
        patient: The limit is several times what the text takes: only what runs away comes to it.
        ended: None while it is spoken; then whether speech ended by itself, not by the limit.
    """

    prompt: Prompt
    sampling: Sampling
    seed: int
    limit: int
    patient: bool = False
    ended: bool | None = None

    @property
    def ran_away(self) -> bool:
        """It was cut, and more of it would not be speech."""
        return self.patient and self.ended is False

    def rows(self, frame: int) -> Rows | None:
        """What the talker reads before that frame; None if there will be none."""
        if self.ended is not None or frame >= self.limit:
            return None
        return self.prompt.rows if frame == 0 else self.prompt.text_row(frame - 1)


class FrameStep:
    """The frame graph and, for each slot, how much of the KV cache is filled.

    Attributes:
        capacity: Positions of the KV cache.
        ahead: Frames that may be launched before the codes of one are read.
    """

    def __init__(self, graph: FrameGraph, manifest: Manifest, slots: int = 1) -> None:
        self.capacity = graph.capacity
        self.ahead = graph.ahead
        self._graph = graph
        self._manifest = manifest
        self._position = np.zeros(slots, np.int64)
        self._settings: dict[str, npt.NDArray[np.generic]] = {}

    def resized(self, slots: int) -> "FrameStep":
        """The same graph for another number of slots, with a KV cache of its own."""
        return FrameStep(self._graph.resized(slots), self._manifest, slots)

    def begin(self, sampling: Sequence[Sampling]) -> None:
        """Start an utterance in every slot. What the KV cache held is never read again."""
        self._position.fill(0)
        self._graph.begin()
        sizes = (self._manifest.vocab_size, self._manifest.codebook_size)
        settings = [each.inputs(*sizes) for each in sampling]
        self._settings = {name: np.concatenate([s[name] for s in settings]) for name in settings[0]}
        self._settings |= ranks(self._settings["top_k"], *sizes)

    def launch(
        self, rows: Sequence[Rows | None], draws: npt.NDArray[np.float32], *, allow_end: bool
    ) -> Callable[[], npt.NDArray[np.int64]]:
        """Read rows and make the frames that follow them.

        Args:
            rows: For each slot float32 (n, hidden): the prompt, or one text row. None lets a
                slot rest: it computes, for the launch is one, but stays where it is.
            draws: float32 (slots, codebooks).
            allow_end: Whether a frame may be the end of speech.

        Returns:
            What waits for the codes and returns them, int64 (slots, codebooks).

        Raises:
            CapacityError: The KV cache is full.
        """
        length = np.array([1 if row is None else len(row) for row in rows])
        moves = np.array([row is not None for row in rows])
        position = np.where(moves, self._position, 0)  # a slot at rest must not run over the end
        end = int((position + length).max())
        if end > self.capacity:
            raise CapacityError(
                f"{end} positions, the KV cache holds {self.capacity}; open the bundle with a "
                "larger max_seconds or say less at a time"
            )
        padded = np.zeros((len(rows), length.max(), self._manifest.hidden_size), np.float32)
        for slot, row in enumerate(rows):
            if row is not None:
                padded[slot, : len(row)] = row
        wait = self._graph.launch(
            {
                "rows": padded,
                "length": length,
                "position": position,
                "draws": draws,
                "allow_end": np.full(len(rows), allow_end),
                **self._settings,
            }
        )
        self._position += np.where(moves, length, 0)
        return lambda: wait().astype(np.int64, copy=False)


def frames(
    step: FrameStep, utterances: Sequence[Utterance], manifest: Manifest
) -> Iterator[list[Codes | None]]:
    """Yield a frame of every utterance for each 80 ms of speech, until all have ended.

    What an utterance says depends on nothing in the other slots. Where the graph runs by itself the
    next frame is launched before this one's codes are read: no row depends on them. The frame after
    the end of speech is then made for nothing, and dropped.

    Args:
        step: The frame graph, with one slot an utterance.
        utterances: What to say; `ended` is set as each of them ends.
        manifest: Of the bundle.

    Yields:
        int64 (codebooks,) for each utterance, None for one that has ended.

    Source: Qwen3TTSTalkerForConditionalGeneration.forward in
        qwen_tts/core/models/modeling_qwen3_tts.py, and the `generate` that drives it.
    """
    step.begin([utterance.sampling for utterance in utterances])
    waiting: deque[Callable[[], npt.NDArray[np.int64]]] = deque()
    launched = frame = 0
    while any(utterance.ended is None for utterance in utterances):
        while len(waiting) <= step.ahead:
            rows = [utterance.rows(launched) for utterance in utterances]
            if all(row is None for row in rows):
                break
            numbers = np.stack([draws(u.seed, launched, manifest.codebooks) for u in utterances])
            waiting.append(step.launch(rows, numbers, allow_end=launched >= MIN_FRAMES))
            launched += 1
        codes = waiting.popleft()()
        spoken: list[Codes | None] = [None] * len(utterances)
        for slot, utterance in enumerate(utterances):
            if utterance.ended is not None:
                continue
            if codes[slot, 0] == manifest.control_codes.end_of_speech:
                utterance.ended = True
                continue
            spoken[slot] = codes[slot]
            if frame + 1 == utterance.limit:
                utterance.ended = False
        if any(codes is not None for codes in spoken):
            yield spoken
        frame += 1
