"""One client's speech in the worker's thread: when sound is handed on, and played."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.server.speaking.speech import Sound, Speech
from qwen3_tts_edge.sound.encoding import encoder
from qwen3_tts_edge.speech.decoding import Decoding
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.stream import RAMP
from server.reference import spoken


def test_it_knows_when_its_player_falls_silent(
    voice_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=7.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr("qwen3_tts_edge.server.speaking.speech.time", clock)
    tts = Synthesizer.open(voice_bundle, threads=1)  # so that nothing is decoded beside
    worker: Any = SimpleNamespace(synthesizer=tts, add=lambda _: None)
    told: list[Any] = []
    speech = Speech(worker, Request(None, seed=3), (1, 2), encoder("pcm", 24000), told.append)
    speech.begin("The old clock in the hall struck nine.", ended=True)
    assert speech.ends == -math.inf
    ends = []
    for clock.now in (7.0, 7.01, 9.0):
        heard = len(told)
        while len(told) == heard:
            tts.step()
            speech.deliver(wait=True)
        ends.append(speech.ends)
    assert ends == pytest.approx([7.08, 7.24, 9.16])


class Late(Decoding):
    """A chunk that is not there before somebody waits for it."""

    done = False


def test_who_has_heard_something_waits_for_more_only_where_nothing_else_can_be_done(
    voice_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames are made in the meantime, and sound is handed on as it was made, in its order."""
    monkeypatch.setattr("qwen3_tts_edge.speech.utterance.Decoding", Late)
    tts = Synthesizer.open(voice_bundle, threads=1)
    worker: Any = SimpleNamespace(synthesizer=tts, add=lambda _: None, note=lambda _: None)
    told: list[Any] = []

    def tell(event: Any) -> None:
        told.append(event)
        if isinstance(event, Sound):
            speech.read(event.seconds)

    speech = Speech(worker, Request(None, seed=3), RAMP, encoder("pcm", 24000), tell)
    speech.begin("The old clock in the hall struck nine.", ended=True)
    while not told:  # the first is waited for
        tts.step()
        speech.deliver(wait=False)
    while tts.step():
        speech.deliver(wait=False)
    assert len(told) == 1
    assert speech.deliver(wait=False)  # there is something to come: the worker must not sleep
    while not speech.over:
        assert tts.step() or speech.deliver(wait=True)
    *sounds, end = told
    assert end is None
    assert b"".join(each.data for each in sounds) == spoken(
        "The old clock in the hall struck nine.", 3
    )
