"""Where in a recording somebody speaks, told by its level alone.

Levels are those of windows of 20 ms, each without its mean, so an offset of the recorder's is no
sound. Quiet speech is speech: it stands out of what is around it.
"""

from dataclasses import dataclass

import numpy as np

from qwen3_tts_edge.arrays import Samples, Vector
from qwen3_tts_edge.voices.mel import SAMPLE_RATE

LEAST_SPEECH = 0.5
"""Seconds; less is a click or a cough."""

_WINDOW = 0.02  # seconds
_AUDIBLE = 1e-3
"""Of full scale, -60 dB. What is louder is taken for speech; what is not must stand out."""

_FAINTEST = 1e-4
_STEPS = 2.0
"""A silence that was written in few bits has a level of a step, at most."""

_STANDS_OUT = 4.0
"""Times the level of the quietest tenth. Hiss never does: 20 ms of it are all as loud."""

_QUIETER = 0.01
"""-40 dB: what is so much quieter than the speech, at an end of it, is silence."""

_MOST, _MARGIN = 0.5, 0.25
"""Seconds of silence at an end that are left as they are, and what is left of more."""


@dataclass(frozen=True)
class Speech:
    """Where the speech is.

    Attributes:
        first: Sample where it begins, or a little before.
        last: Sample where it ends, or a little behind.
        before: Seconds of silence that lie before `first`.
        after: Seconds of silence that lie behind `last`.
    """

    first: int
    last: int
    before: float
    after: float


def find_speech(samples: Samples, step: float = 0.0) -> Speech | None:
    """Find the speech in a recording.

    Silence of up to half a second at an end counts as speech: it is as most recordings have it.

    Args:
        samples: float32 (n,), 24 kHz.
        step: The least difference of two samples as they were written; 0 for floating point.

    Returns:
        Where it is, or None where all is silence.
    """
    levels, size = _levels(samples)
    half_a_second = round(LEAST_SPEECH / _WINDOW)
    if len(levels) < half_a_second:
        return None
    loud = np.sort(levels)[-half_a_second]  # a click is louder, and shorter
    least = max(_FAINTEST, _STEPS * step)
    if loud < least or (loud < _AUDIBLE and loud < _STANDS_OUT * np.percentile(levels, 10)):
        return None
    sounding = np.flatnonzero(levels >= max(least, _QUIETER * loud))
    first, last = sounding[0] * size, min(len(samples), (sounding[-1] + 1) * size)
    margin, most = round(_MARGIN * SAMPLE_RATE), round(_MOST * SAMPLE_RATE)
    first = 0 if first <= most else first - margin
    last = len(samples) if len(samples) - last <= most else last + margin
    return Speech(int(first), int(last), first / SAMPLE_RATE, (len(samples) - last) / SAMPLE_RATE)


def _levels(samples: Samples) -> tuple[Vector, int]:
    """Measure windows, RMS of full scale; and say how many samples one is."""
    size = round(_WINDOW * SAMPLE_RATE)
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    return windows.std(axis=1, dtype=np.float64), size
