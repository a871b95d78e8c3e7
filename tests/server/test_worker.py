"""The worker's turns: who is served when."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.server.speaking.speech import Sound, Speech
from qwen3_tts_edge.server.speaking.worker import Worker
from qwen3_tts_edge.sound.encoding import encoder
from qwen3_tts_edge.sound.player import Player
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.stream import RAMP
from server.reference import spoken


class Speaker:
    over = False

    def __init__(self, name: str, ends: float, served: list[str]) -> None:
        self.ends = ends
        self._name, self._served = name, served

    def deliver(self, *, wait: bool) -> bool:
        assert wait  # for nothing was launched
        self._served.append(self._name)
        return True

    def fail(self, error: Exception) -> None:
        raise AssertionError from error


def test_who_falls_silent_first_is_served_first() -> None:
    served: list[str] = []
    worker = Worker(SimpleNamespace(step=lambda: False))
    speakers = {"ahead": 9.0, "nobody listens": math.inf, "unheard": -math.inf, "behind": 2.0}
    for name, ends in speakers.items():
        worker.add(Speaker(name, ends, served))
    assert worker._frame()
    assert served == ["unheard", "behind", "ahead", "nobody listens"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_one_that_was_made_before_a_fork_works_behind_it() -> None:
    """As with `gunicorn --preload`: threads that were not begun before it count as ended there."""
    worker = Worker(SimpleNamespace(step=lambda: False))
    child = os.fork()
    if not child:
        worker.start()
        done = worker.do(lambda: 7).result(10) == 7
        worker.stop()
        os._exit(not done)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def worker(voice_bundle: Path) -> Worker:
    """Give one that is not started, and decodes nothing beside."""
    return Worker(Synthesizer.open(voice_bundle, threads=1))


def begun(worker: Worker, text: str, tell: Callable[[Any], None]) -> Speech:
    speech = Speech(worker, Request(None, seed=7), RAMP, encoder("pcm", 24000), tell)
    speech.begin(text, ended=True)
    return speech


def test_a_sentence_that_is_cut_is_spoken_to_its_end_though_no_job_comes(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next piece begins behind the last sound of the one before, with no pause between."""
    told: list[Any] = []

    def tell(event: Any) -> None:
        told.append(event)
        if isinstance(event, Sound):
            speech.read(event.seconds)

    # It would wait for a job, and none comes.
    monkeypatch.setattr(worker, "_do_jobs", lambda *, wait: setattr(worker, "_ends", wait))
    text = "a" * 200
    speech = begun(worker, text, tell)
    worker._run()
    *sounds, end = told
    assert end is None
    assert b"".join(each.data for each in sounds) == spoken(text, 7)


@pytest.mark.parametrize("at", range(1, 4))
def test_who_reads_while_there_is_no_room_for_more_wakes_the_worker(
    worker: Worker, at: int
) -> None:
    """Whenever the worker's thread comes between: it hands a sound on then, and looks for room."""
    speech = begun(worker, "Hello.", lambda _: None)
    looks: list[bool] = []

    class Interrupted(Player):
        asked = at  # too often, until it is ready

        @property
        def seconds(self) -> float:
            """Let the worker come between behind the n-th answer."""
            answer = super().seconds
            self.asked += 1
            if self.asked == at:
                self.hear(0.64, 0.0)
                looks.append(speech._room)
            return answer

    speech._player = player = Interrupted()
    player.hear(1.92, 0.0)
    player.asked = 0
    woken = speech.read(0.64)
    assert woken or looks != [False]
    assert speech._room
