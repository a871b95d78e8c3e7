"""One client's speech: text in as it comes, sound out as it is made.

`Session` lives in the event loop, where clients are; its `Speech` in the worker's thread, where the
synthesizer is. Jobs go one way and events the other.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from qwen3_tts_edge.server.speaking.admission import Ticket
from qwen3_tts_edge.server.speaking.metrics import Record
from qwen3_tts_edge.server.speaking.speech import Event, Sound, Speech
from qwen3_tts_edge.server.speaking.worker import Worker, teller
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.request import Request


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
        self._tell = teller(self._events)
        self._speech = Speech(worker, request, chunk_frames, encoder, self._tell)
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

    def close(self, *, spoken: bool = False) -> None:
        """End the speech before the next frame, if it still goes on; give its place to others.

        Args:
            spoken: All that was asked for has been: it goes into the books as what was heard.
        """
        if not self._over:
            self._over = True
            self._do(self._speech.cancel)
            outcome = "ok" if spoken else "cancelled"
            self._record.end(outcome, self.frames, self._speech.runaways)
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
