"""Chunks on their way from codes to samples."""

from concurrent.futures import Future

import numpy as np

from qwen3_tts_edge.arrays import Codes
from qwen3_tts_edge.codec.decoder import Pending
from qwen3_tts_edge.speech.chunk import Chunk
from qwen3_tts_edge.speech.metrics import Metrics


class Decoding:
    """A chunk that is being decoded, beside others where that is possible."""

    def __init__(
        self, codes: Codes, pending: Pending, metrics: Metrics, before: float = 0.0
    ) -> None:
        """Take what was begun.

        Args:
            codes: int64 (frames, codebooks).
            pending: What becomes of them.
            metrics: Of the request.
            before: Seconds that were spent on them already.
        """
        self._codes, self._pending = codes, pending
        self._metrics, self._before = metrics, before

    @classmethod
    def silence(cls, length: int, codebooks: int, metrics: Metrics) -> "Decoding":
        """Make a pause of so many samples, which is there at once."""
        pending: Pending = Future()
        pending.set_result((np.zeros(length, np.float32), 0.0))
        return cls(np.zeros((0, codebooks), np.int64), pending, metrics)

    @property
    def done(self) -> bool:
        """Whether nobody has to wait for it."""
        return self._pending.done()

    def chunk(self) -> Chunk:
        """Wait for it. Once."""
        samples, seconds = self._pending.result()
        metrics = self._metrics
        metrics.samples += len(samples)
        if frames := len(self._codes):
            metrics.codec.append((self._before + seconds, frames))
        return Chunk(samples, self._codes, metrics.sample_rate, metrics)
