"""The bundled voice, listened to through the real runtime. The thresholds are what it reaches."""

from pathlib import Path

import pytest

from qwen3_tts_edge import Synthesizer, Voice
from qwen3_tts_export.judge import SETS, Judge, listen, sentences, synthesizer_speaks

pytestmark = pytest.mark.slow

WORST = {"streamed": {"everyday": 0.65, "open": 0.88}}
"""Word error rates: what was measured and some points, as another processor rounds differently."""


@pytest.mark.parametrize("layout", WORST)
def test_the_bundled_voice_is_understood(voice_bundle: Path, listener: Judge, layout: str) -> None:
    tts = Synthesizer.open(voice_bundle, threads=1)
    speak = synthesizer_speaks(tts, Voice.speaker("heart"), text_layout=layout)
    verdicts = listen(listener, speak, sentences())
    rates = {kind: verdicts.of(kind).errors.rate for kind in SETS}
    print(layout, {kind: f"{rate:.1%}" for kind, rate in rates.items()}, verdicts.stretch)  # noqa: T201
    assert all(rates[kind] <= WORST[layout][kind] for kind in SETS), rates
    assert verdicts.ended >= 0.99
    assert verdicts.stretch[1] <= 2.0
