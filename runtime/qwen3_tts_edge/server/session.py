"""One client's speech: text in as it comes, sound out as it is made.

`Session` lives in the event loop, where clients are; `_Speech` in the worker's thread, where the
synthesizer is. Jobs go one way and events the other.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from qwen3_tts_edge.server.admission import Ticket
from qwen3_tts_edge.server.metrics import Record
from qwen3_tts_edge.server.worker import Worker
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.decoding import Decoding
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.stops import SPOKEN
from qwen3_tts_edge.speech.stream import Stream

_AHEAD = 2.0
"""Seconds of sound that a client may be behind before no more is made for it."""


@dataclass(frozen=True)
class Sound:
    """A piece of what is spoken.

    Attributes:
        data: In the format that was asked for; empty where an encoder still holds it back.
        seconds: Of speech that went into it.
    """

    data: bytes
    seconds: float


@dataclass(frozen=True)
class Flushed:
    """All text before a `flush` has been spoken, and its sound told before this."""


Event = Sound | Flushed


class Session(AsyncIterator[Event]):
    """A speech, for the protocol that carries it.

    An async iterator over its events: it ends when all text is spoken, or raises what went wrong.
    Whoever opened it closes it, in a `finally`.

    Attributes:
        seed: Speaks the same again, given the same bundle, text and settings.
        seconds: Of sound that was handed on.
    """

    def __init__(
        self,
        worker: Worker,
        request: Request,
        chunk_frames: tuple[int, ...],
        encoder: Encoder,
        ticket: Ticket,
        record: Record,
    ) -> None:
        """Take what is asked for; `begin` checks it.

        Args:
            worker: Whose thread speaks it.
            request: With no text, for that is appended.
            chunk_frames: Frames a chunk; the last number goes on.
            encoder: Of its sound.
            ticket: Its admission, given back when it is closed.
            record: Where its times are noted.
        """
        request = replace(request, text=None).seeded()
        assert request.seed is not None
        self.seed = request.seed
        self.seconds = 0.0
        self._worker, self._ticket, self._record = worker, ticket, record
        self._events: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        # It knows nothing of the session: both go with the last who holds them, not when Python
        # looks for cycles, which it does by the number of objects, however large they are.
        self._tell = partial(_tell, asyncio.get_running_loop(), self._events)
        self._speech = _Speech(worker, request, chunk_frames, encoder, self._tell)
        self._over = False

    @property
    def frames(self) -> int:
        """Frames that were made, of the text that was spoken to its end."""
        return self._speech.frames

    async def begin(self, text: str, *, ended: bool) -> None:
        """Begin with the first of the text: all that can be wrong with a request is found now.

        Args:
            text: May be empty, while there is more to come.
            ended: It is all of it. It is spoken in the checkpoint's own layout then, else streamed.

        Raises:
            InputError: Something asked for is not to be had; says what is.
            WorkerDiedError: There is nobody to speak.
        """
        await asyncio.wrap_future(self._worker.do(lambda: self._speech.begin(text, ended=ended)))

    def append(self, text: str) -> None:
        """Add to the text. What is wrong with it the iteration raises."""
        self._do(lambda: self._speech.append(text))

    def flush(self) -> None:
        """Speak all that is there, and tell when it was spoken."""
        self._do(self._speech.flush)

    def end(self) -> None:
        """End the text."""
        self._do(self._speech.end)

    def close(self) -> None:
        """End the speech before the next frame, if it still goes on; give its place to others."""
        if not self._over:
            self._over = True
            self._do(self._speech.cancel)
            self._record.end("cancelled", self.frames, self._speech.runaways)
            while not self._events.empty():
                self._events.get_nowait()  # sound that nobody hears
            self._events.put_nowait(None)
        self._ticket.leave()

    async def __anext__(self) -> Event:
        """Wait for the next event."""
        event = None if self._over else await self._events.get()
        if isinstance(event, Sound):
            self.seconds += event.seconds
            self._record.sound(event.seconds)
            if self._speech.read(event.seconds):
                self._do(lambda: None)  # so that a worker that waits for room looks again
        if event is not None and not isinstance(event, Exception):
            return event
        if not self._over:
            self._over = True
            outcome = "ok" if event is None else "error"
            self._record.end(outcome, self.frames, self._speech.runaways)
        self._ticket.leave()
        raise StopAsyncIteration if event is None else event

    def _do(self, job: Callable[[], None]) -> None:
        self._worker.do(job).add_done_callback(self._done)

    def _done(self, answer: "Future[Any]") -> None:
        if (error := answer.exception()) is not None:
            assert isinstance(error, Exception)
            self._tell(error)


def _tell(
    loop: asyncio.AbstractEventLoop,
    events: "asyncio.Queue[Event | Exception | None]",
    event: Event | Exception | None,
) -> None:
    """Tell the event loop, from any thread."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(events.put_nowait, event)


class _Speech:
    """What the worker does for a session: one stream after the other, each from flush to flush.

    Attributes:
        over: Whether nothing more will come.
        frames: That were made by the streams that are over.
        runaways: Of these streams those that never said their end.
    """

    def __init__(
        self,
        worker: Worker,
        request: Request,
        chunk_frames: tuple[int, ...],
        encoder: Encoder,
        tell: Callable[[Event | Exception | None], None],
    ) -> None:
        self.over = False
        self.frames = self.runaways = 0
        self._worker, self._encoder, self._tell = worker, encoder, tell
        self._request, self._chunk_frames = request, chunk_frames
        self._texts = deque([""])  # not yet fed, from flush to flush; the last still grows
        self._stream: Stream | None = None
        self._decoding: Decoding | None = None
        self._fed = False
        self._ended = False
        self._told = self._read = 0.0  # seconds; each is written in one thread only

    def begin(self, text: str, *, ended: bool) -> None:
        self._stream = self._open(text if ended else None)
        self._fed = self._ended = ended
        try:
            if not ended:
                self._grow(text)
        except Exception:
            self.cancel()
            raise
        self._worker.add(self)

    def append(self, text: str) -> None:
        self._guarded(lambda: self._grow(text))

    def flush(self) -> None:
        self._texts.append("")
        self._guarded(self._feed)

    def end(self) -> None:
        self._ended = True
        self._guarded(self._feed)

    def cancel(self) -> None:
        self.over = True
        if self._stream is not None:
            self._stream.close()
        # An error's traceback may keep who asked for it, and this, for long: nothing large stays.
        self._decoding = None
        self._encoder.close()

    def read(self, seconds: float) -> bool:
        """Note that so much was read; return whether that made room. The event loop's to call."""
        full = not self._room
        self._read += seconds
        return full and self._room

    def deliver(self) -> bool:
        """Hand on one chunk, so that everybody who speaks gets one in turn.

        The next is decoded while others are served and the next frame is made; the first of all is
        waited for.
        """
        moved = self._decoding is not None
        if self._decoding is not None:
            self._tell_chunk(self._decoding)
        if self._room:
            moved = self._decode() or moved
        if self._decoding is not None and (self._told == 0 or self._decoding.done):
            self._tell_chunk(self._decoding)
        return moved

    def fail(self, error: Exception) -> None:
        self.cancel()
        self._worker.note(error)
        self._tell(error)

    @property
    def _room(self) -> bool:
        return self._told - self._read < _AHEAD

    def _open(self, text: str | None = None) -> Stream:
        self._fed = False
        return self._worker.synthesizer.stream(
            text, self._request.voice, chunk_frames=self._chunk_frames, **self._request.asked
        )

    def _guarded(self, work: Callable[[], None]) -> None:
        if self.over:
            return
        try:
            work()
        except Exception as error:
            self.fail(error)

    def _grow(self, text: str) -> None:
        self._texts[-1] += text
        self._feed()

    def _feed(self) -> None:
        """Give the stream its text; end it where its text has ended."""
        if self._stream is None and SPOKEN.search(self._texts[0]):
            self._stream = self._open()
        if self._stream is None:
            return
        if text := self._texts[0]:
            self._texts[0] = ""
            self._fed = self._fed or SPOKEN.search(text) is not None
            self._stream.feed(text)
        if self._closed:
            if self._fed:
                self._stream.finish()
            else:
                self._stream.close()  # nothing to say between two flushes is no fault

    @property
    def _closed(self) -> bool:
        """Whether the text of this stream has ended."""
        return self._ended or len(self._texts) > 1

    def _tell_chunk(self, decoding: Decoding) -> None:
        chunk, self._decoding = decoding.chunk(), None
        seconds = len(chunk.samples) / chunk.sample_rate
        self._told += seconds
        self._tell(Sound(self._encoder.encode(chunk.samples), seconds))

    def _decode(self) -> bool:
        """Begin to decode the next chunk, or end; return whether there was anything to do."""
        stream = self._stream
        self._decoding = None if stream is None else stream.taking()
        if self._decoding is not None:
            return True
        if not self._closed or not (stream is None or stream.over):
            return False
        if stream is not None:
            self.frames += len(stream.metrics.frames)
            self.runaways += stream.metrics.ran_away
            self._worker.note(None)
            self._finish_sound()
        self._stream = None
        if len(self._texts) > 1:
            self._texts.popleft()
            self._tell(Flushed())
            self._feed()
            return True
        self.over = True
        self._finish_sound()
        self._tell(None)
        return True

    def _finish_sound(self) -> None:
        """Tell what the encoder holds back. More text begins its sound anew."""
        if rest := self._encoder.finish():
            self._tell(Sound(rest, 0.0))
