"""Who speaks: two who have names, and many others who differ in vocal tract, pitch and rate.

All of them are the teacher's voice, changed before the waveform is made.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

TRACTS = 25
STRAIGHT = 12
"""The tract that the teacher has."""
WIDEST = 1.25
"""By what formants are moved up in the last tract, and down in the first."""
HIGHEST = 1.15
"""Pitch, times the teacher's: above it the codebooks have no notes for her highest."""
LOWEST = 0.55
HEIGHTS = 25
"""Steps of pitch that are told apart where a speaker is recognised."""
MANY = 250
NAMED_SENTENCES = 40_000
"""Sentences from the first on that those with names read; the others are read by the many."""


@dataclasses.dataclass(frozen=True)
class Speaker:
    """How a voice differs from the teacher's.

    Attributes:
        tract: 0 to 24, from the longest vocal tract to the shortest.
        pitch: Times the teacher's.
        rate: Likewise.
    """

    tract: int = STRAIGHT
    pitch: float = 1.0
    rate: float = 1.0

    @property
    def formants(self) -> float:
        """What the teacher's formants are multiplied by."""
        return float(WIDEST ** ((self.tract - STRAIGHT) / STRAIGHT))

    @property
    def height(self) -> int:
        """The pitch, from 0 to HEIGHTS - 1."""
        share = math.log(self.pitch / LOWEST) / math.log(HIGHEST / LOWEST)
        return round(share * (HEIGHTS - 1))


NAMED = {"heart": Speaker(), "low": Speaker(tract=5, pitch=0.66)}


@functools.cache
def speaker(number: int) -> Speaker:
    """Give a speaker by number: those with names come first, then others without end.

    The shorter the tract, the higher the pitch, as people are, though each has a pitch of its own.
    """
    if number < len(NAMED):
        return list(NAMED.values())[number]
    random = np.random.default_rng([7, number])
    made = Speaker(tract=int(random.integers(TRACTS)), rate=float(random.uniform(0.88, 1.14)))
    pitch = made.formants**1.5 * np.exp(random.normal(0, 0.15))
    return dataclasses.replace(made, pitch=float(np.clip(pitch, LOWEST, HIGHEST)))


def reader(sentence: int) -> int:
    """Give the number of who reads a sentence in training.

    Of the first ones every fourth is `low`'s and the others are `heart`'s. Numbers from
    `len(NAMED) + MANY` on read none.
    """
    if sentence < NAMED_SENTENCES:
        return int(sentence % 4 == 3)
    return len(NAMED) + sentence % MANY
