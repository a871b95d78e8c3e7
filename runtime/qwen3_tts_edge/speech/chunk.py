"""What is spoken: chunks while it is made, the whole when it is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from qwen3_tts_edge.codec.decoder import Samples
from qwen3_tts_edge.sound.writing import save
from qwen3_tts_edge.speech.metrics import Metrics


@dataclass(frozen=True)
class Chunk:
    """A piece of speech, playable as it is.

    Attributes:
        samples: float32 (n,) in [-1, 1], mono.
        codes: int64 (frames, codebooks) that the samples were decoded from.
        sample_rate: 24000.
        metrics: Of the utterance so far; one object for all its chunks.
    """

    samples: Samples
    codes: npt.NDArray[np.int64]
    sample_rate: int
    metrics: Metrics


@dataclass(frozen=True)
class Audio:
    """A whole utterance.

    Attributes:
        samples: float32 (n,) in [-1, 1], mono.
        codes: int64 (frames, codebooks).
        sample_rate: 24000.
        seed: Speaks the same again, given the same bundle, text and settings.
        metrics: Where the time went, and whether speech ended by itself.
    """

    samples: Samples
    codes: npt.NDArray[np.int64]
    sample_rate: int
    seed: int
    metrics: Metrics

    @classmethod
    def of(cls, chunks: Sequence[Chunk], seed: int) -> Self:
        """All the chunks of an utterance, put together."""
        samples = np.concatenate([chunk.samples for chunk in chunks])
        codes = np.concatenate([chunk.codes for chunk in chunks])
        return cls(samples, codes, chunks[0].sample_rate, seed, chunks[0].metrics)

    def save(self, path: str | Path) -> None:
        """Write a WAV, FLAC or raw PCM file, by the ending of its name."""
        save(path, self.samples, self.sample_rate)
