"""What is spoken: chunks while it is made, the whole when it is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge.arrays import Codes, Samples
from qwen3_tts_edge.sound.writing import save
from qwen3_tts_edge.speech.metrics import Metrics


@dataclass(frozen=True, eq=False)
class Chunk:
    """A piece of speech, playable as it is.

    Attributes:
        samples: float32 (n,) in [-1, 1], mono.
        codes: int64 (frames, codebooks) that the samples were decoded from; none for a pause
            between two sentences.
        sample_rate: 24000.
        metrics: Of the request so far; one object for all its chunks.
    """

    samples: Samples
    codes: Codes
    sample_rate: int
    metrics: Metrics


@dataclass(frozen=True, eq=False)
class Audio:
    """A whole text, or a piece of it.

    Attributes:
        samples: float32 (n,) in [-1, 1], mono.
        codes: int64 (frames, codebooks).
        sample_rate: 24000.
        seed: Speaks the same again, given the same bundle, text and settings.
        metrics: Where the time went, and whether speech ended by itself.
    """

    samples: Samples
    codes: Codes
    sample_rate: int
    seed: int
    metrics: Metrics

    @classmethod
    def of(cls, pieces: Sequence[Self], seed: int) -> Self:
        """Put the pieces of one text together, which this seed speaks again."""
        samples = np.concatenate([piece.samples for piece in pieces])
        codes = np.concatenate([piece.codes for piece in pieces])
        metrics = Metrics.of(piece.metrics for piece in pieces)
        return cls(samples, codes, pieces[0].sample_rate, seed, metrics)

    def save(self, path: str | Path) -> None:
        """Write a file in the format its ending says, one of `sound.writing.ENDINGS`."""
        save(path, self.samples, self.sample_rate)
