"""Samples → the same sound at another sample rate, piece by piece."""

import math

import numpy as np
import soxr

from qwen3_tts_edge.arrays import Samples


class Resampler:
    """See `encoding.Change`: n samples become ceil(n * to / rate), whatever the pieces."""

    def __init__(self, rate: int, to: int) -> None:
        self._stream = soxr.ResampleStream(rate, to, 1, dtype="float32", quality="HQ")
        self._ratio = to / rate
        self._taken = self._made = 0

    def feed(self, samples: Samples) -> Samples:
        """Take float32 (n,), and give what can be said of it already."""
        self._taken += len(samples)
        piece: Samples = self._stream.resample_chunk(samples)
        self._made += len(piece)
        return piece

    def finish(self) -> Samples:
        """Give the rest."""
        rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        return fitted(rest, math.ceil(self._taken * self._ratio) - self._made)


def fitted(samples: Samples, length: int) -> Samples:
    """Cut or pad with zeros to a length: the converter may miss it by a sample."""
    return np.pad(samples[: max(0, length)], (0, max(0, length - len(samples))))
