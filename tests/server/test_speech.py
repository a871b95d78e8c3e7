"""One client's speech in the worker's thread: when its player falls silent."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.server.speaking.speech import Speech
from qwen3_tts_edge.sound.encoding import encoder
from qwen3_tts_edge.speech.request import Request


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
            speech.deliver()
        ends.append(speech.ends)
    assert ends == pytest.approx([7.08, 7.24, 9.16])
