"""Samples → FLAC, 16-bit mono, through libsndfile."""

import soundfile

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.sound.pcm import rounded
from qwen3_tts_edge.sound.written import Written

_LEVEL = 0.25
"""The highest compression whose blocks are 48 ms and not 170: what is held back is one block."""

_HEADER = 42
"""Bytes of the mark and the first block of metadata, which has the length."""


class FlacCoder:
    """See `formats.Coder`. Samples are those of `to_pcm`, bit by bit."""

    def __init__(self, sample_rate: int) -> None:
        self._written = _Written()
        self._sound = soundfile.SoundFile(
            self._written,
            mode="w",
            samplerate=sample_rate,
            channels=1,
            subtype="PCM_16",
            format="FLAC",
            compression_level=_LEVEL,
        )
        self.head = b""

    def encode(self, samples: Samples) -> bytes:
        """Feed float32 (n,)."""
        self._sound.write(rounded(samples))
        return self._written.taken()

    def finish(self) -> bytes:
        """Encode the rest."""
        self._sound.close()
        rest = self._written.taken()
        self.head = bytes(self._written.head)
        return rest


class _Written(Written):
    """What libsndfile takes for a file: keeps the header too.

    At the end libsndfile goes back to write the length and a checksum into the header.
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = bytearray()
        self._at = self._end = 0

    def write(self, data: bytes) -> int:
        written = bytes(data)
        if self._at < self._end:
            self.head[self._at : self._at + len(written)] = written
        else:
            self._end += super().write(written)
            self.head += written[: _HEADER - len(self.head)]
        self._at += len(written)
        return len(written)

    def seek(self, to: int, whence: int = 0) -> int:
        self._at = to + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, _: int) -> bytes:
        return b""
