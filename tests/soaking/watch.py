"""A server's process from outside: memory, file descriptors, and who still has a place."""

import asyncio
import re
from dataclasses import dataclass

import aiohttp
import numpy as np
import psutil

_GAUGE = re.compile(r"^qwen3_tts_(requests_running|requests_waiting|streams_open\S*) (\S+)$", re.M)
_PATIENCE = 10.0
"""Seconds within which a server is quiet that nobody asks anything."""


@dataclass(frozen=True)
class Sample:
    """The process when nobody speaks.

    Attributes:
        seconds: Since the soak began.
        rss: Bytes.
        files: Open file descriptors.
        threads: How many.
    """

    seconds: float
    rss: int
    files: int
    threads: int


async def _busy(session: aiohttp.ClientSession, url: str) -> dict[str, float]:
    """Ask a server's metrics who has a place, or waits for one."""
    async with session.get(f"{url}/metrics") as answer:
        found = _GAUGE.findall(await answer.text())
    assert found, "the metrics have none of the gauges"
    return {name: float(value) for name, value in found if float(value)}


async def quiet(url: str, process: psutil.Process) -> str:
    """Wait until nobody speaks and nobody is connected; say who is when patience is over."""
    found = ""
    for _ in range(int(_PATIENCE / 0.1)):
        async with aiohttp.ClientSession() as session:
            speak = await _busy(session, url)
        connected = sum(each.status != psutil.CONN_LISTEN for each in process.net_connections())
        if not speak and not connected:
            return ""
        found = f"{speak}, {connected} connections"
        await asyncio.sleep(0.1)
    return found


def sample(process: psutil.Process, seconds: float) -> Sample:
    """Look at a process."""
    with process.oneshot():
        return Sample(seconds, process.memory_info().rss, process.num_fds(), process.num_threads())


def drift(samples: list[Sample]) -> float:
    """How much memory grew from the first sample to the last, by a line: a share of its mean."""
    seconds = np.array([each.seconds for each in samples])
    rss = np.array([each.rss for each in samples], float)
    slope = np.polyfit(seconds, rss, 1)[0]
    return float(slope * (seconds[-1] - seconds[0]) / rss.mean())
