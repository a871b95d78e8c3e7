"""An hour of clients of all kinds, good and bad, on a server of their own.

    PYTHONPATH=tests python tests/soak.py --minutes 60

Ends with 0 if nothing was lost, cut, kept or left behind, and says what was if something was.
"""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import click
import psutil

from qwen3_tts_edge.machine.texts import TEXTS
from soaking.faults import FAULTS, Fault, expected, whole
from soaking.protocols import PROTOCOLS, Ask, RejectedError
from soaking.watch import Sample, drift, quiet, sample

_SERVE = "from qwen3_tts_edge.cli import main; main()"
_SLOTS = 8
_CLIENTS = 20
_EVERY = 5
"""Texts of all lengths, a few: each is spoken here, too, to know what has to come."""
_PATIENCE = 120.0
"""Seconds after which an answer hangs."""
_JUDGED = 10
"""Samples after warm-up, one a minute, from which on growth is told from noise."""
_GREW = 0.01
_POOL = min(32, (os.cpu_count() or 1) + 4)
"""Threads that asyncio begins one by one as it needs them, and keeps."""


@dataclass
class Soak:
    """What came of it.

    Attributes:
        done: How often what came of what, by protocol.
        faults: What was wrong.
        samples: Of the server's process, when it was quiet.
    """

    done: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def judge(self) -> None:
        """Compare how the process was with how it is; the first quarter is warm-up."""
        later = self.samples[len(self.samples) // 4 :]
        if not later:
            return
        if len(later) >= _JUDGED and (grew := drift(later)) > _GREW:
            self.faults.append(f"its memory grew by {grew:.2%}")
        for what, spare in (("files", 0), ("threads", _POOL)):
            first, last = getattr(later[0], what), getattr(later[-1], what)
            if len(later) > 1 and last > first + spare:
                self.faults.append(f"it has {last} {what}, and had {first}")


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        url: Its address.
        wyoming: Where it speaks Wyoming.
        process: It.
    """

    url: str
    wyoming: str
    process: psutil.Process


async def soak(server: Server, seconds: float, every: float, seed: int) -> Soak:
    """Soak a server.

    Args:
        server: It.
        seconds: How long.
        every: Seconds between two moments in which nobody asks anything, to look at it.
        seed: Of all that is done at random.
    """
    result = Soak()
    asked = [(text, number) for number, text in enumerate(TEXTS[::_EVERY])]
    for text in asked:
        for form, layout in {each[:2] for each in PROTOCOLS.values()}:
            if form is not None:
                expected(form, layout, *text)
    chance, start = random.Random(seed), time.monotonic()
    # Memory is taken when it is first used, a slot's as it fills and half a megabyte for each who
    # hears MP3: as many as may speak at once say the longest text in it before anybody looks.
    await _filled(result, server, max(asked, key=lambda text: len(text[0])), chance)
    while (now := time.monotonic() - start) < seconds and not result.faults:
        until = time.monotonic() + min(every, seconds - now)
        async with _session() as session:
            asks = [Ask(session, server.url, server.wyoming, *text) for text in asked]
            chances = [random.Random(chance.random()) for _ in range(_CLIENTS)]
            await asyncio.gather(*(_client(result, asks, each, until) for each in chances))
        if kept := await quiet(server.url, server.process):
            result.faults.append(f"nobody asks anything, and there is {kept}")
        result.samples.append(sample(server.process, time.monotonic() - start))
        _say(result)
    # Every place is there: as many as there are speak at once, and nobody is rejected.
    await _filled(result, server, asked[0], chance)
    result.judge()
    return result


async def _filled(
    result: Soak, server: Server, text: tuple[str, int], chance: random.Random
) -> None:
    """Let as many as may speak at once say a text, and all of it has to come."""
    async with _session() as session:
        ask = Ask(session, server.url, server.wyoming, *text)
        asks = (_one(result, whole, ask, "http-mp3", chance) for _ in range(_SLOTS))
        came = await asyncio.gather(*asks)
    if came != ["whole"] * _SLOTS:
        result.faults.append(f"of {_SLOTS} who may speak at once there came {came}")


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def _client(result: Soak, asks: list[Ask], chance: random.Random, until: float) -> None:
    kinds, weights = zip(*FAULTS, strict=True)
    while time.monotonic() < until and not result.faults:
        fault = chance.choices(kinds, weights)[0]
        await _one(result, fault, chance.choice(asks), chance.choice(list(PROTOCOLS)), chance)


async def _one(result: Soak, fault: Fault, ask: Ask, name: str, chance: random.Random) -> str:
    try:
        came = await asyncio.wait_for(fault(ask, name, chance), _PATIENCE)
    except RejectedError:
        came = "rejected"
        await asyncio.sleep(1.0)
    except Exception as error:
        came = "wrong"
        result.faults.append(f"{fault.__name__} by {name}: {type(error).__name__} {error}")
    result.done[came] += 1
    return came


def _say(result: Soak) -> None:
    now = result.samples[-1]
    done = ", ".join(f"{count} {what}" for what, count in sorted(result.done.items()))
    click.echo(
        f"{now.seconds:6.0f} s  {now.rss / 1e6:.1f} MB  {now.files} files  {now.threads} threads  "
        f"{done}"
    )


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """Run a server, its log in a folder; it ends by SIGTERM as it should."""
    log = folder / "log"
    command = [sys.executable, "-c", _SERVE, "serve", "--port", "0", "--slots", str(_SLOTS)]
    command += ["--wyoming", "tcp://127.0.0.1:0"]
    with log.open("w") as stderr:
        process = subprocess.Popen(command, stderr=stderr, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + _PATIENCE
        while "is ready" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, "it never became ready"
            time.sleep(0.05)
        url, wyoming = re.findall(r"(?:http|tcp)://[^,\s]+", log.read_text())[:2]
        yield Server(url, wyoming, psutil.Process(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE)


def run(seconds: float, every: float, seed: int) -> Soak:
    """Soak a server of one's own."""
    with tempfile.TemporaryDirectory() as folder:
        with served(Path(folder)) as server:
            result = asyncio.run(soak(server, seconds, every, seed))
        log = (Path(folder) / "log").read_text().splitlines()
    result.faults += [line for line in log if line.startswith("ERROR")]
    return result


@click.command()
@click.option("--minutes", type=float, default=60.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(minutes: float, seed: int) -> None:
    """Soak a server, and say every minute how it is."""
    result = run(60 * minutes, 60.0, seed)
    for fault in result.faults:
        click.echo(f"wrong: {fault}")
    click.echo(f"{'wrong' if result.faults else 'good'}: {sum(result.done.values())} in all")
    sys.exit(bool(result.faults))


if __name__ == "__main__":
    main()
