"""Who may speak: as many at once as there are slots, some who wait for one, nobody else.

A server that takes everybody serves nobody in time. Who cannot be heard soon is told at once, and
when to come again.
"""

import asyncio
import math
import time
from collections import Counter, deque
from contextlib import suppress

from qwen3_tts_edge.errors import BusyError

QUIET = 2.0
"""Seconds without more of a text after which nobody waits for it, when the server stops."""


class RefusedError(BusyError):
    """Somebody was not let in.

    Attributes:
        retry_after: Seconds after which it is worth to try again.
        own: Whether the client itself has too many requests under way, not the server.
    """

    def __init__(self, found: str, retry_after: float, *, own: bool = False) -> None:
        super().__init__(found, f"try again in {math.ceil(retry_after)} s")
        self.retry_after = max(1, math.ceil(retry_after))
        self.own = own


class Ticket:
    """The right to speak; given back with `leave`, as often as one likes."""

    def __init__(self, admission: "Admission", key: str) -> None:
        self._admission: Admission | None = admission
        self._key = key
        self._since = time.monotonic()

    def leave(self) -> None:
        """Give the place to who waits longest."""
        if self._admission is not None:
            admission, self._admission = self._admission, None
            admission.left(self._key, time.monotonic() - self._since)


class Admission:
    """The door of the server, in its event loop.

    Attributes:
        running: How many have a ticket.
    """

    def __init__(self, places: int, *, queue: int, seconds: float, per_key: int | None) -> None:
        """Set the limits.

        Args:
            places: Tickets at once.
            queue: How many may wait for one.
            seconds: How long each may wait.
            per_key: Tickets and places in the queue of one key; None is no limit.
        """
        self._places, self._queue, self._seconds, self._per_key = places, queue, seconds, per_key
        self.running = 0
        self._closed = asyncio.Event()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._of_key: Counter[str] = Counter()
        self._usual = 1.0  # seconds that a ticket was held lately

    @property
    def open(self) -> bool:
        """Whether anybody is let in at all."""
        return not self._closed.is_set()

    async def closed(self) -> None:
        """Wait until nobody is let in any more."""
        await self._closed.wait()

    def stopping(self) -> RefusedError:
        """Make the error of who is refused then."""
        return RefusedError("the server is stopping", self._seconds)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def enter(self, key: str) -> Ticket:
        """Wait for a ticket.

        Args:
            key: Whose request it is.

        Raises:
            RefusedError: The queue is full, it took too long, the key has too many, or the server
                stops.
        """
        if not self.open:
            raise self.stopping()
        if self._per_key is not None and self._of_key[key] >= self._per_key:
            raise RefusedError(
                f"{self._of_key[key]} requests of this key are under way, which is all it may have",
                self._usual,
                own=True,
            )
        self._of_key[key] += 1
        try:
            await self._place()
        except BaseException:
            self._forget(key)
            raise
        return Ticket(self, key)

    async def _place(self) -> None:
        if self.running < self._places and not self._waiting:
            self.running += 1
            return
        if len(self._waiting) >= self._queue:
            raise RefusedError(
                f"all {self._places} places are taken and {len(self._waiting)} requests wait",
                self._usual * (len(self._waiting) + 1) / self._places,
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await asyncio.wait([turn], timeout=self._seconds)  # wait_for may lose a cancel
        except BaseException:
            if turn.done() and turn.exception() is None:
                self._next()  # the place came, and so did the end of who waited for it
            raise
        finally:
            with suppress(ValueError):
                self._waiting.remove(turn)
        if not turn.done():
            raise RefusedError(f"no place became free within {self._seconds:g} s", self._usual)
        turn.result()

    def left(self, key: str, held: float) -> None:
        """Take a ticket back that was held for so many seconds."""
        self._usual += 0.2 * (held - self._usual)
        self._forget(key)
        self._next()

    def close(self) -> None:
        """Let nobody in any more; who waits is refused."""
        self._closed.set()
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(self.stopping())

    def _next(self) -> None:
        """Pass a place on, or have one more."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.running -= 1

    def _forget(self, key: str) -> None:
        self._of_key[key] -= 1
        if not self._of_key[key]:
            del self._of_key[key]
