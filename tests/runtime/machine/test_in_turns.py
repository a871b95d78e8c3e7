"""`bench --against`: two bundles in one process, launch by launch."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.cli import commands
from qwen3_tts_edge.machine import in_turns as measuring
from qwen3_tts_edge.machine.in_turns import Times, in_turns, measure_in_turns

ROOMS = [
    "talker + code predictor",
    "codec, 1 frame a chunk",
    "codec, 4 frames a chunk",
    "codec, 8 frames a chunk",
]


def test_works_take_turns_and_the_first_item_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order, now = [], 0.0

    def work(name: str, *seconds: float) -> Iterator[None]:
        nonlocal now
        for each in seconds:
            order.append(name)
            now += each
            yield

    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now)
    took = in_turns(work("a", 100, 1, 2, 4), work("b", 200, 8, 16, 32, 64))
    assert took == [[1, 2, 4], [8, 16, 32]]
    assert "".join(order) == "ab" * 4


def test_medians_best_and_ratios(voice_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame's, in milliseconds: a launch of the codec is as many as the chunk has."""
    runs = iter([[[9.0], [9.0]], [[0.012, 0.020], [0.004, 0.003]], [[0.016], [0.005]]] * 4)
    monkeypatch.setattr(measuring, "in_turns", lambda *_: next(runs))
    tts = Synthesizer.open(voice_bundle)
    found = measure_in_turns(tts, tts, runs=2, seconds=0.4, threads=1, report=str)
    assert list(found.ratio) == ROOMS
    assert found.bundle_ms[ROOMS[0]] == Times(16, 12)
    assert found.against_ms[ROOMS[0]] == Times(4, 3)
    assert found.bundle_ms[ROOMS[2]] == Times(4, 3)
    assert found.against_ms[ROOMS[3]] == Times(0.5, 0.38)
    assert found.ratio[ROOMS[0]] == Times(4, 4)


def test_bench_against_another(voice_bundle: Path) -> None:
    asked = ["bench", str(voice_bundle), "--against", str(voice_bundle), "--seconds", "0.8"]
    done = CliRunner().invoke(commands, [*asked, "--runs", "1", "--threads", "1"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["runs"], found["frames"], found["threads"]) == (1, 10, 1)
    assert found["bundle"]["checkpoint"] == found["against"]["checkpoint"] == "edge-voice"
    for side in ("bundle_ms", "against_ms"):
        assert list(found[side]) == ROOMS
        assert all(0 < room["best"] <= room["median"] for room in found[side].values())
    rows = done.stdout.splitlines()
    assert rows[2].split()[:3] == ["ms/frame:", "median,", "best"]
    assert rows[3].startswith(ROOMS[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "x", "--arrivals"], "both --arrivals and --against were given; choose one"),
        (["--against", "x", "--server", "http://y"], "both --against and --server were given"),
        (["--server", "http://y", "--runs", "3"], "--runs is not for --server"),
        ([".", "--server", "http://y"], "BUNDLE is not for --server"),
        (["--against", "nothing"], "nothing is not a bundle"),
        (["--against", ".", "--seconds", "1e9"], "positions has room for"),
    ],
)
def test_what_cannot_be_measured(arguments: list[str], message: str, voice_bundle: Path) -> None:
    given = [str(voice_bundle) if each == "." else each for each in arguments]
    done = CliRunner().invoke(commands, ["bench", *given])
    assert done.exit_code != 0
    assert message in done.stderr
