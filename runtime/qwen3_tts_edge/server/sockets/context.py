"""One text that a client sends bit by bit over a socket, and the task that speaks it.

Its client's messages are read in another task, so what is said can be stopped while it is sent.
"""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from qwen3_tts_edge.server.problems import FieldError, Problem, problem_of
from qwen3_tts_edge.server.speaking.admission import QUIET
from qwen3_tts_edge.server.speaking.session import Session
from qwen3_tts_edge.server.speaking.speech import Sound
from qwen3_tts_edge.text.stops import SPOKEN

Message = Mapping[str, Any] | bytes
"""What is sent: JSON, in which bytes stand in base64, or bytes as they are."""

PATIENCE = 30.0
"""Seconds without a message after which what is there is spoken: a place is not kept for longer."""

_SENTENCE = re.compile(r"\w[.!?…][\"'”’)\]]*$")
_WORD = re.compile(r"[\"'“‘(\[]*[^\W\d_]")


@dataclass(frozen=True)
class _Flush:
    """All text before this is spoken, and its client told where it asked for it."""

    told: bool


class Answers(Protocol):
    """A protocol's words for what happens in a context: the messages to send, or none."""

    def sound(self, data: bytes) -> Sequence[Message]:
        """There is sound."""

    def flushed(self) -> Sequence[Message]:
        """All before a flush was spoken."""

    def done(self) -> Sequence[Message]:
        """All of the text was spoken."""

    def failed(self, problem: Problem) -> Sequence[Message]:
        """It will not be spoken."""


class Context:
    """A text that grows, and its speech.

    It has a session, and with it a place among those who speak, from the first word until all that
    was flushed is spoken: who only waits for its client keeps nobody out.

    Attributes:
        task: Ends when all was spoken, it failed, or it was closed.
        ended: Whether no more text comes.
        failed: Whether it was given up; what still comes for it is ignored.
        idle: Whether all that came is spoken.
    """

    def __init__(
        self,
        begin: Callable[[str, bool], Awaitable[Session]],
        answers: Answers,
        send: Callable[[Iterable[Message]], Awaitable[None]],
        *,
        field: str,
        largest: int,
    ) -> None:
        """Wait for text.

        Args:
            begin: Opens a session with the first of it, or all, which is what the second says.
            answers: What is told.
            send: Sends it.
            field: Of the client's messages, that has text.
            largest: Characters that may be under way.
        """
        self.ended = self.failed = self.idle = False
        self._begin, self._answers, self._send = begin, answers, send
        self._field, self._largest = field, largest
        self._inputs: deque[str | _Flush] = deque()
        self._size = 0  # of what came since all was spoken
        self._last = ""
        self._turn = self._appended = 0  # of the event loop: what comes in one is one message's
        self._whole = False  # whether the end came with the last of the text
        self._news = asyncio.Event()
        self._session: Session | None = None
        self._flushes: deque[_Flush] = deque()  # that the session has not answered
        self._unflushed = False  # whether the session has text behind the last flush
        self._leaving: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.task = asyncio.create_task(self._run())

    def append(self, text: str) -> None:
        """Add to the text.

        Raises:
            FieldError: The text has ended, or is too long.
        """
        if self.ended and not self.failed and text.strip():
            raise FieldError("context_id", "its text has ended", "begin another context")
        spaced = _with_space(self._last, text)
        if text:
            self._last, self._appended = text, self._turn
            asyncio.get_running_loop().call_soon(self._pass)
        self._take(spaced)

    def flush(self, *, told: bool = True) -> None:
        """Speak what is there, and answer when it was spoken. Errors are those of `append`."""
        self._take(_Flush(told))

    def end(self) -> None:
        """End the text: what is there will be spoken."""
        if not self.ended:
            self._whole = self._appended == self._turn
        self.ended = True
        self._feed()

    def leave(self, error: Exception) -> None:
        """Wait no longer for more of the text than a moment; it fails then, if it has not ended."""
        self._leaving = error
        self._news.set()
        if self._session is not None:
            self._wait()

    def close(self) -> None:
        """Say no more; nothing is sent after this."""
        self.task.cancel()

    def _pass(self) -> None:
        self._turn += 1

    def _take(self, each: str | _Flush) -> None:
        if self.failed or self.ended or not each:
            return
        size = len(each) if isinstance(each, str) else int(each.told)
        most = self._largest * (1 if isinstance(each, str) else 2)  # what is there can be flushed
        if self._size + size > most:
            raise FieldError(
                self._field,
                f"more than {self._largest} characters are under way",
                "wait until they are spoken, or begin another context",
            )
        self._size += size
        self._inputs.append(each)
        self._feed()

    def _feed(self) -> None:
        """Hand on what has come, to the session or to the task that opens one."""
        self._news.set()
        if (session := self._session) is None:
            return
        while self._inputs:
            each = self._inputs.popleft()
            if isinstance(each, _Flush):
                session.flush()
                self._flushes.append(each)
                self._unflushed = False
            else:
                session.append(each)
                self._unflushed = self._unflushed or bool(each.strip())
        self._wait()
        if self.ended:
            self._end_session(session)

    def _wait(self) -> None:
        """Wait for more text, but not for ever."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        flush = partial(self.flush, told=False)
        patience = PATIENCE if self._leaving is None else QUIET
        self._timer = loop.call_later(patience, flush) if self._unflushed else None

    def _end_session(self, session: Session) -> None:
        session.end()
        self._session = None  # what comes from now on is for the next

    async def _run(self) -> None:
        try:
            while (text := await self._text()) is not None:
                await self._speak(text)
            await self._send(self._answers.done())
        except asyncio.CancelledError:
            pass  # closed; the task would keep the error, that its frames, and they the task
        except Exception as error:
            self.failed = True
            self._inputs.clear()
            await self._send(self._answers.failed(problem_of(error)))

    async def _text(self) -> str | None:
        """Wait for something to say; a flush of nothing is answered at once.

        Signs alone are nothing yet: they wait for the word that they belong to.
        """
        text = ""
        while True:
            while self._inputs:
                each = self._inputs.popleft()
                if isinstance(each, str):
                    text += each if text or each.strip() else ""
                    if SPOKEN.search(each):
                        return text
                    continue
                text = ""
                if each.told:
                    await self._send(self._answers.flushed())
            if self.ended:
                return None
            if self._leaving is not None:
                raise self._leaving
            self._size = len(text)
            self.idle = True
            self._news.clear()
            await self._news.wait()
            self.idle = False

    async def _speak(self, text: str) -> None:
        # An end that came in another message is here or not, as the load is: it changes nothing.
        session = await self._begin(text, self.ended and self._whole and not self._inputs)
        try:
            self._session, self._unflushed = session, True
            self._feed()
            async for event in session:
                if isinstance(event, Sound):
                    if event.data:
                        await self._send(self._answers.sound(event.data))
                    continue
                if self._flushes.popleft().told:
                    await self._send(self._answers.flushed())
                if not self._flushes and not self._unflushed and self._session is not None:
                    self._end_session(session)
        finally:
            self._session = None
            session.close(spoken=not (self._flushes or self._unflushed))
            if self._timer is not None:
                self._timer.cancel()


def _with_space(last: str, text: str) -> str:
    """Part two sentences that came one by one without a blank, as some clients send them."""
    return f" {text}" if _SENTENCE.search(last) and _WORD.match(text) else text
