"""`bench --server`: what it hears, and that it says so."""

import json
import socket

import pytest
from click.testing import CliRunner, Result

from qwen3_tts_edge.cli import commands
from qwen3_tts_edge.machine.texts import TEXTS, asked
from server.reference import spoken
from server.serving import Served

pytest.importorskip("aiohttp")


def bench(*args: object) -> Result:
    return CliRunner().invoke(commands, ["bench", "--server", *map(str, args)])


def test_people_who_listen_hear_all_of_it(served: Served) -> None:
    done = bench(served.url, "--streams", 2, "--seconds", 0.5, "--warm-up", 0, "--no-playback")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["requests"] == found["ok"] >= 2
    assert (found["most"], found["cut"], found["rejected"]) == (2, 0, 0)
    assert 0 < found["ttfa_ms"]["p50"] <= found["ttfa_ms"]["p95"] <= found["ttfa_ms"]["p99"]
    assert "time to first audio" in done.stdout


async def _answer(url: str):
    import time

    from qwen3_tts_edge.machine.asking import Asker

    async with Asker.open(url, None, None) as asker:
        return await asker.ask(TEXTS[0], 3, time.perf_counter())


def test_sound_is_measured_as_long_as_it_is(served: Served) -> None:
    import asyncio

    player = asyncio.run(_answer(served.url)).player
    assert player.seconds == len(spoken(TEXTS[0], 3)) / 48000


def test_requests_that_come_at_random(served: Served) -> None:
    done = bench(served.url, "--rate", 20, "--seconds", 0.5, "--warm-up", 0)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["requests"] == found["ok"] + found["rejected"]  # a slow machine turns some away
    assert found["ok"] > 0


def test_what_is_refused_is_counted_and_where_nothing_speaks_nothing_is_measured(
    served: Served,
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        done = bench(f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert done.exit_code == 1
    assert "does not speak" in done.stderr
    done = bench(served.url, "--voice", "nobody")
    assert done.exit_code == 1
    assert "there is no voice 'nobody'" in done.stderr


def test_texts_are_many_and_come_once_each() -> None:
    texts = asked(seed=0)
    round_ = [next(texts) for _ in TEXTS]
    assert sorted(text for text, _ in round_) == sorted(TEXTS)
    assert [seed for _, seed in round_] == list(range(len(TEXTS)))
    assert len(set(TEXTS)) >= 40
    assert {len(text.split()) for text in TEXTS} >= set(range(3, 25)) - {21}
