"""The one thread that speaks: does jobs, makes a frame of everybody, hands sound on."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from qwen3_tts_edge.errors import Qwen3TTSError
from qwen3_tts_edge.synthesizer import Synthesizer

T = TypeVar("T")
_log = logging.getLogger(__name__)

_FAILURES = 3
"""So many times in a row speech ends by an error which is nobody's request's: nothing will work."""


class WorkerDiedError(Qwen3TTSError, RuntimeError):
    """The thread that speaks is gone."""

    def __init__(self) -> None:
        super().__init__("the server can speak no more", "start it again; its log says why")


class Speaking(Protocol):
    """Somebody who speaks, as the worker sees them; called in its thread alone."""

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""

    @property
    def ends(self) -> float:
        """When its listener falls silent, by `time.monotonic`, if no more sound comes."""

    def deliver(self, *, wait: bool) -> bool:
        """Hand on the sound that is there; return whether there is any, or raise what is wrong.

        `wait` for what is being decoded, for there is nothing else to do.
        """

    def fail(self, error: Exception) -> None:
        """End with an error."""


def teller(told: "asyncio.Queue[T]") -> Callable[[T], None]:
    """Make what tells the event loop that runs now, through this queue, from any thread."""
    return partial(_tell, asyncio.get_running_loop(), told)


def _tell(loop: asyncio.AbstractEventLoop, told: "asyncio.Queue[T]", what: T) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(told.put_nowait, what)


class Worker:
    """Owns a synthesizer. Whatever touches it is a job, done in this thread between two frames.

    Attributes:
        synthesizer: Its own.
    """

    def __init__(self, synthesizer: Synthesizer) -> None:
        self.synthesizer = synthesizer
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._speaking: list[Speaking] = []
        self._failures = 0
        self._failed = False
        self._ends = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work, in this process: one that was forked before has no use for its threads."""
        self._thread = threading.Thread(target=self._run, name="qwen3-tts-speech", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the frame that is being made; whoever still speaks ends with an error."""
        self.do(lambda: setattr(self, "_ends", True))
        if self._thread is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether it works."""
        return self._thread is not None and self._thread.is_alive() and not self._ends

    def do(self, job: Callable[[], T]) -> "Future[T]":
        """Let a job be done before the next frame; may be called in any thread.

        Returns:
            What comes of it; `WorkerDiedError` where nobody will do it.
        """
        answer: Future[T] = Future()
        self._jobs.put((job, answer))
        if not self.alive:
            self._refuse_jobs()
        return answer

    def add(self, speaking: Speaking) -> None:
        """Deliver for somebody from now on; a job's to call."""
        self._speaking.append(speaking)

    def note(self, error: Exception | None) -> None:
        """Remember how a speech ended; a job's to call."""
        if error is None or isinstance(error, Qwen3TTSError):
            self._failures = 0
        else:
            self._failed = True

    def _run(self) -> None:
        try:
            moved = True
            while not self._ends:
                self._do_jobs(wait=not moved)
                # Once more before it waits: where the last sound of a piece was handed on already,
                # the next piece begins behind the step, and only another one moves it.
                moved = self._frame() or self._frame()
        except BaseException:
            _log.exception("the thread that speaks died")
        self._ends = True
        for each in self._speaking:
            each.fail(WorkerDiedError())
        self._speaking.clear()
        self._refuse_jobs()

    def _frame(self) -> bool:
        """Make a frame of everybody who can speak on; return whether anything moved."""
        moved = launched = self.synthesizer.step()
        for each in sorted(self._speaking, key=lambda each: each.ends):
            moved = self._delivered(each, wait=not launched) or moved
        self._speaking = [each for each in self._speaking if not each.over]
        if self._failed:  # one launch that fails ends everybody's speech, and is one failure
            self._failures, self._failed = self._failures + 1, False
        if self._failures >= _FAILURES:
            raise RuntimeError(f"speeches failed {_FAILURES} times in a row")
        return moved

    def _delivered(self, speaking: Speaking, *, wait: bool) -> bool:
        """Let somebody hand sound on; what is wrong with it is its own."""
        if speaking.over:
            return False
        try:
            return speaking.deliver(wait=wait)
        except Exception as error:
            speaking.fail(error)
            return True

    def _do_jobs(self, *, wait: bool) -> None:
        """Do the jobs that are there; where nobody can speak on, wait for one."""
        try:
            self._do(*self._jobs.get(block=wait))
            while True:
                self._do(*self._jobs.get_nowait())
        except Empty:
            pass

    def _do(self, job: Callable[[], T], answer: "Future[T]") -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(job())
        except Exception as error:
            answer.set_exception(error)

    def _refuse_jobs(self) -> None:
        try:
            while True:
                _, answer = self._jobs.get_nowait()
                if answer.set_running_or_notify_cancel():
                    answer.set_exception(WorkerDiedError())
        except Empty:
            pass
