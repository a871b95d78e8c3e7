"""The bundled voice, listened to through the real runtime. The thresholds are what it reaches."""

from itertools import count, islice
from pathlib import Path

import pytest

from qwen3_tts_edge import Synthesizer, Voice
from qwen3_tts_export.parity.judge import (
    SETS,
    UTTERED,
    Judge,
    listen,
    sentences,
    synthesizer_speaks,
)

pytestmark = pytest.mark.slow

WORST = {
    ("heart", "upfront"): (0.09, 0.12, 0.15, 0.18, 0.10),
    ("heart", "streamed"): (0.10, 0.15, 0.17, 0.31, 0.12),
    ("low", "upfront"): (0.11, 0.19, 0.21, 0.23, 0.18),
}
"""Word error rates by kind, in the order of SETS: what was measured and some points."""
UTTERANCES = 200


@pytest.mark.parametrize(("speaker", "layout"), WORST)
def test_the_bundled_voice_is_understood(
    voice_bundle: Path, listener: Judge, speaker: str, layout: str
) -> None:
    tts = Synthesizer.open(voice_bundle, threads=1)
    speak = synthesizer_speaks(tts, Voice.speaker(speaker), text_layout=layout)
    verdicts = listen(listener, speak, sentences())
    rates = {kind: verdicts.of(kind).errors.rate for kind in SETS}
    print(speaker, layout, {kind: f"{rate:.1%}" for kind, rate in rates.items()})  # noqa: T201
    worst = dict(zip(SETS, WORST[speaker, layout], strict=True))
    assert all(rates[kind] <= worst[kind] for kind in SETS), rates
    assert verdicts.ended >= 0.99
    assert verdicts.stretch[2] <= 2.0


@pytest.mark.parametrize("layout", ["streamed", "upfront"])
def test_speech_ends_and_in_time(voice_bundle: Path, layout: str) -> None:
    speak = synthesizer_speaks(Synthesizer.open(voice_bundle, threads=1), text_layout=layout)
    rounds = ((sentence, seed) for seed in count() for sentence in sentences(UTTERED))
    spoken = [(asked, *speak(asked, seed)) for asked, seed in islice(rounds, UTTERANCES)]
    assert sum(ended for *_, ended in spoken) >= 0.99 * UTTERANCES
    longest = max(len(samples) / 24_000 / asked.teacher_seconds for asked, samples, _ in spoken)
    print(layout, f"longest {longest:.2f} times the teacher's")  # noqa: T201
    assert longest <= 2.0
