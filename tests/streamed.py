"""What tests of streams say, and what they compare of it."""

from collections.abc import Iterable

import numpy as np

from qwen3_tts_edge import Chunk

TEXT = "Set a timer for ten minutes."
LONG = (
    "The train to the coast leaves at seven, and the last one back is before midnight, "
    "and nobody knows whether we will be on it or not, for it is late already"
)
"""Spoken as one utterance it takes longer than a reader may be behind."""


def codes_of(pieces: Iterable[Chunk]) -> np.ndarray:
    return np.concatenate([piece.codes for piece in pieces])


def samples_of(pieces: Iterable[Chunk]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces])
