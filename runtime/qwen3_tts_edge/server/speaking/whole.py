"""A text that is answered when all of it is spoken: what went wrong is spoken again before."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from qwen3_tts_edge.server.speaking.worker import Worker, teller
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.chunk import Audio
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.whole import Pieces


@dataclass(frozen=True)
class Answer:
    """All that was spoken.

    Attributes:
        data: In the format that was asked for; its header has the true length.
        seed: Speaks the same again, given the same bundle, text and settings.
        seconds: Of speech that went into it.
        frames: That were made of it.
        runaways: Pieces of it that never said their end, with any seed.
    """

    data: bytes
    seed: int
    seconds: float
    frames: int
    runaways: int


async def spoken(worker: Worker, request: Request, encoder: Encoder) -> Answer:
    """Speak all of a text; whoever gives up waiting for it ends the speech before the next frame.

    Args:
        worker: Whose thread speaks it.
        request: With its text.
        encoder: Of its sound, which works in other threads: a piece may be half a minute.

    Raises:
        InputError: Something asked for is not to be had; says what is.
        WorkerDiedError: There is nobody to speak.
    """
    request = request.seeded()
    assert request.seed is not None
    pieces: asyncio.Queue[Audio | Exception | None] = asyncio.Queue()
    speech = _Speech(worker, request, teller(pieces))
    data, samples, frames, runaways = [], 0, 0, 0
    try:
        await asyncio.wrap_future(worker.do(speech.begin))
        while (piece := await pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            data.append(await asyncio.to_thread(encoder.encode, piece.samples))
            samples += len(piece.samples)
            frames += len(piece.metrics.frames)
            runaways += piece.metrics.ran_away
        data.append(await asyncio.to_thread(encoder.finish))
    finally:
        encoder.close()
        worker.do(speech.close)
    sound, head = b"".join(data), encoder.head
    seconds = samples / worker.synthesizer.manifest.sample_rate
    return Answer(head + sound[len(head) :], request.seed, seconds, frames, runaways)


class _Speech:
    """What the worker does for it: one piece at a time, so that it takes one slot and not all.

    Attributes:
        over: Whether nothing more will come.
        ends: Nobody listens before that.
    """

    ends = math.inf

    def __init__(
        self, worker: Worker, request: Request, tell: Callable[[Audio | Exception | None], None]
    ) -> None:
        self.over = False
        self._worker, self._request, self._tell = worker, request, tell
        self._pieces: Pieces | None = None

    def begin(self) -> None:
        text = self._request.text
        assert text is not None
        self._pieces = self._worker.synthesizer.pieces(
            text, self._request.voice, at_once=1, **self._request.asked
        )
        self._worker.add(self)

    def close(self) -> None:
        self.over = True
        if self._pieces is not None:
            self._pieces.close()

    def deliver(self, *, wait: bool) -> bool:
        assert self._pieces is not None
        found = self._pieces.take()
        if found is not None:
            self._tell(found[1])
        if self._pieces.over:
            self.over = True
            self._worker.note(None)
            self._tell(None)
        return found is not None or self.over

    def fail(self, error: Exception) -> None:
        self.close()
        self._worker.note(error)
        self._tell(error)
