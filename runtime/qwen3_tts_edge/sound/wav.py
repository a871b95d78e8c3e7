"""Samples → WAV, mono, while it is not known how long it will be."""

import struct
from collections.abc import Callable
from typing import NamedTuple

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.sound.pcm import to_alaw, to_float, to_mulaw, to_pcm

_UNKNOWN = 0xFFFFFFFF
"""A size that players take for "until it ends"; 0 they may take for no sound at all."""


class Coding(NamedTuple):
    """How samples stand in a file.

    Attributes:
        tag: WAV's number for it.
        width: Bytes of a sample.
        to_bytes: Makes them.
    """

    tag: int
    width: int
    to_bytes: Callable[[Samples], bytes]


PCM, FLOAT = Coding(1, 2, to_pcm), Coding(3, 4, to_float)
ALAW, MULAW = Coding(6, 1, to_alaw), Coding(7, 1, to_mulaw)


class WavCoder:
    """See `formats.Coder`."""

    def __init__(self, sample_rate: int, coding: Coding = PCM) -> None:
        self._sample_rate, self._coding = sample_rate, coding
        self._begin = _header(sample_rate, coding, _UNKNOWN)
        self._size = 0
        self.head = b""

    def encode(self, samples: Samples) -> bytes:
        """Convert float32 (n,); the header goes in front of the first."""
        data = self._coding.to_bytes(samples)
        self._size += len(data)
        begin, self._begin = self._begin, b""
        return begin + data

    def finish(self) -> bytes:
        """Nothing is held back."""
        self.head = _header(self._sample_rate, self._coding, self._size)
        return b""


def _header(sample_rate: int, coding: Coding, size: int) -> bytes:
    """44 bytes, or 58; sizes that 32 bits do not hold, 24 hours of sound, stay unknown."""
    tag, width, _ = coding
    size = min(size, _UNKNOWN)
    form = struct.pack("<HHIIHH", tag, 1, sample_rate, width * sample_rate, width, 8 * width)
    fact = b""
    if coding is not PCM:  # it says that it has no extension, and how many samples there are
        form += struct.pack("<H", 0)
        fact = struct.pack("<4sII", b"fact", 4, 0 if size == _UNKNOWN else size // width)
    rest = struct.pack("<4sI", b"fmt ", len(form)) + form + fact
    rest += struct.pack("<4sI", b"data", size)
    riff = struct.pack("<4sI4s", b"RIFF", min(4 + len(rest) + size, _UNKNOWN), b"WAVE")
    return riff + rest
