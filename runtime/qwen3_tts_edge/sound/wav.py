"""Samples → WAV, 16-bit mono, while it is not known how long it will be."""

import struct

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.sound.pcm import to_pcm

_UNKNOWN = 0xFFFFFFFF
"""A size that players take for "until it ends"; 0 they may take for no sound at all."""


class WavCoder:
    """See `formats.Coder`."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._begin = _header(sample_rate, _UNKNOWN)
        self._size = 0
        self.head = b""

    def encode(self, samples: Samples) -> bytes:
        """Convert float32 (n,); the header goes in front of the first."""
        data = to_pcm(samples)
        self._size += len(data)
        begin, self._begin = self._begin, b""
        return begin + data

    def finish(self) -> bytes:
        """Nothing is held back."""
        self.head = _header(self._sample_rate, self._size)
        return b""


def _header(sample_rate: int, size: int) -> bytes:
    """44 bytes; sizes that 32 bits do not hold, 24 hours of sound, stay unknown."""
    riff = struct.pack("<4sI4s", b"RIFF", min(size + 36, _UNKNOWN), b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return riff + form + struct.pack("<4sI", b"data", min(size, _UNKNOWN))
