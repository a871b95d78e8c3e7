"""`kill -9` at any moment leaves nothing half, and the next run succeeds and sweeps."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.children import child, killed_at, moments, names
from faults.works import Work, engines, export, voice
from small_bundle import write_small_bundle

IN_A_ROW = 3
"""Kills of the same work, each among what those before have left."""

ALREADY_THERE = 2
"""How a work ends that was killed after it had done all."""


@pytest.mark.parametrize("kills", [3, pytest.param(201, marks=pytest.mark.slow)])
def test_a_killed_export(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path], traced_once: None, kills: int
) -> None:
    def begin(number: int) -> Work:
        return export(tiny_checkpoint("custom_voice", "same"), tmp_path / str(number))

    _kill(begin, kills)


@pytest.mark.parametrize("kills", [3, pytest.param(201, marks=pytest.mark.slow)])
def test_killed_while_engines_are_replaced(tmp_path: Path, kills: int) -> None:
    pytest.importorskip("tensorrt_rtx")
    bundle = write_small_bundle(tmp_path / "bundle")
    assert child(engines(bundle, max_seconds=30).do).code == 0
    _kill(lambda number: engines(bundle, max_seconds=1 + number), kills)


@pytest.mark.parametrize("kills", [3, pytest.param(201, marks=pytest.mark.slow)])
@pytest.mark.parametrize("extra", [(), ("--replace",)])
def test_a_killed_creation_of_a_voice(
    tmp_path: Path, tiny_bundle: Callable[..., Path], extra: tuple[str], kills: int
) -> None:
    def begin(number: int) -> Work:
        found = voice(tiny_bundle("base", "narrow"), tmp_path / str(number), *extra)
        if extra and not found.visible():
            assert child(found.do).code == 0
        return found

    _kill(begin, kills)


def _kill(begin: Callable[[int], Work], kills: int) -> None:
    """Kill works, `IN_A_ROW` times each at moments drawn by chance, and let them be done then."""
    chance = random.Random(13)
    model = begin(0)
    number_of = moments(model.do)
    done = names(model.folder)
    for number in range(1, 1 + kills // IN_A_ROW):
        work = begin(number)
        before = len(work.visible())
        for _ in range(IN_A_ROW):
            on_files = chance.random() < 0.5
            moment = chance.randint(1, number_of[on_files])
            ended = killed_at(work.do, moment, on_files=on_files)
            assert ended.killed or ended.code in (0, ALREADY_THERE), ended.said
            for each in work.visible():
                work.check(each)
            if work.keeps:
                assert len(work.visible()) == before
        finished = bool(work.visible()) and not before
        assert child(work.do).code == (ALREADY_THERE if finished else 0)
        assert names(work.folder) == done
