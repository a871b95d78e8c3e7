"""Threads that work beside the one that asks.

The pool of `concurrent.futures` takes nothing any more once the main thread has ended. A program
whose other threads go on speaking may only have begun then.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

from typing_extensions import Self

from qwen3_tts_edge.forks import shared

_T = TypeVar("_T")


class Threads:
    """A few threads, made as there is work for them. They end when this is closed or forgotten.

    A process that ends or is forked waits for what they do; one that was forked makes its own.
    """

    def __init__(self, most: int, name: str) -> None:
        """Say how many there may be, and what each is called."""
        self._crew = _Crew(name)
        self._most = most
        self._lock = threading.RLock()  # who speaks once more as a process ends has it already
        shared(self)

    def submit(self, work: Callable[..., _T], *given: object) -> "Future[_T]":
        """Do something with what is given, beside the caller; return what comes of it.

        Where there is no thread and none can be made, it is done before this returns: from Python
        3.12 on none begins after the main thread has ended.
        """
        answer: Future[_T] = Future()

        def do() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                done = work(*given)
            except BaseException as error:
                answer.set_exception(error)
            else:
                answer.set_result(done)

        with self._lock:
            if self._crew.takes(do, self._most):
                return answer
        do()
        return answer

    def close(self) -> None:
        """Wait until all is done; who submits more gets other threads."""
        self.acquire()
        self.release()

    def acquire(self) -> None:
        """Wait until all is done, and take nothing until `release`."""
        self._lock.acquire()
        ending, self._crew = self._crew, _Crew(self._crew.name)
        try:
            ending.dismiss()
            for each in ending.threads:
                each.join()
        except BaseException:  # Ctrl-C: it does not wait, and others may go on
            self._lock.release()
            raise

    def release(self) -> None:
        """Take work again."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._crew.dismiss()


class _Crew:
    """Threads that share what there is to do; they know nothing of who made them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)

    def takes(self, job: Callable[[], None], most: int) -> bool:
        """Let one of them do it, a new one if none is idle; return whether there is any."""
        if not self._idle.acquire(blocking=False) and len(self.threads) < most:
            given = (self._jobs, self._idle)
            thread = threading.Thread(target=_work, args=given, name=self.name, daemon=True)
            with suppress(RuntimeError):  # those that are there do it all
                thread.start()
                self.threads.append(thread)
        if self.threads:
            self._jobs.put(job)
        return bool(self.threads)

    def dismiss(self) -> None:
        """Let them end when nothing is left to do."""
        for _ in self.threads:
            self._jobs.put(None)


def _work(jobs: "SimpleQueue[Callable[[], None] | None]", idle: threading.Semaphore) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # or what it was given would be kept until there is another
        idle.release()
