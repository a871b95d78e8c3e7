"""Load on a server: people who listen in real time, or requests that come at random.

Needs the extra `bench`. What is heard is counted, not kept.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from qwen3_tts_edge.machine.asking import Answer, Asker, ServerError
from qwen3_tts_edge.machine.texts import asked

MOST = 1000
"""Requests under way at once; of a server that needs more nothing can be measured."""


@dataclass(frozen=True)
class Load:
    """What is asked of a server.

    Attributes:
        streams: So many people who listen, each asking for the next text when the last was played;
            None where requests come at random.
        rate: Requests a second that come at random, whatever the server does (Poisson).
        seconds: How long requests are sent that count.
        warm_up: And before that, those that do not; people come one by one in that time.
        think: Seconds from the end of a text to asking for the next.
        playback: Each text is played, in real time; else the next is asked for when all has come.
        seed: Of the order of texts and of the times at which requests come.
    """

    streams: int | None = None
    rate: float | None = None
    seconds: float = 30.0
    warm_up: float = 5.0
    think: float = 0.0
    playback: bool = True
    seed: int = 0


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        seconds: Since it began.
        under_way: Requests that are.
        most: The most of them at once.
        outcomes: Of those that are over.
    """

    seconds: float = 0.0
    under_way: int = 0
    most: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


async def run(
    server: str,
    load: Load,
    *,
    voice: str | None = None,
    key: str | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> tuple[list[Answer], Progress]:
    """Ask a server as a load says, until its time is over and all has been answered.

    Args:
        server: Its address.
        load: What is asked.
        voice: Who shall speak; None leaves it to the server.
        key: That lets one in.
        report: Called every second.

    Returns:
        The answers that count, and how it went in all.

    Raises:
        ServerError: The server does not speak, or far too slowly.
    """
    async with Asker.open(server, voice, key) as asker:
        await asker.check()
        running = _Run(asker, load)
        reporting = asyncio.create_task(running.reported(report))
        try:
            await (running.open() if load.streams is None else running.closed())
        finally:
            reporting.cancel()
        return running.answers, running.progress


class _Run:
    def __init__(self, asker: Asker, load: Load) -> None:
        self.answers: list[Answer] = []
        self.progress = Progress()
        self._asker, self._load = asker, load
        self._texts = asked(load.seed)
        self._start = time.perf_counter()
        self._counts = self._start + load.warm_up
        self._end = self._counts + load.seconds

    async def closed(self) -> None:
        """People who listen."""
        assert self._load.streams is not None
        gap = self._load.warm_up / self._load.streams
        begins = [self._start + each * gap for each in range(self._load.streams)]
        await asyncio.gather(*map(self._client, begins))

    async def open(self) -> None:
        """Requests that come at random."""
        assert self._load.rate is not None
        chance, due = random.Random(self._load.seed), self._start
        tasks: set[asyncio.Task[Answer]] = set()
        try:
            while (due := due + chance.expovariate(self._load.rate)) < self._end:
                await _until(due)
                if len(tasks) >= MOST:
                    raise ServerError(
                        f"{MOST} requests are under way: the server is too slow to be measured",
                        "give a lower --rate",
                    )
                tasks.add(task := asyncio.create_task(self._ask(due)))
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def reported(self, report: Callable[[Progress], None]) -> None:
        """Tell how far it is, until cancelled."""
        while True:
            self.progress.seconds = time.perf_counter() - self._start
            report(self.progress)
            await asyncio.sleep(1.0)

    async def _client(self, due: float) -> None:
        """One who listens, from his first text to his last."""
        while due < self._end:
            await _until(due)
            answer = await self._ask(due)
            due = time.perf_counter()
            if answer.outcome != "ok":
                due += answer.retry_after
                continue
            if self._load.playback and answer.player.ends is not None:
                due = max(due, answer.player.ends)
            due += self._load.think

    async def _ask(self, due: float) -> Answer:
        progress = self.progress
        progress.under_way += 1
        progress.most = max(progress.most, progress.under_way)
        try:
            answer = await self._asker.ask(*next(self._texts), due)
        finally:
            progress.under_way -= 1
        progress.outcomes[answer.outcome] += 1
        if due >= self._counts:
            self.answers.append(answer)
        return answer


async def _until(due: float) -> None:
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
