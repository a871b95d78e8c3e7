"""Samples → MP3 of constant bit rate, through LAME."""

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.sound.pcm import to_pcm

_QUALITY = 2
"""LAME's scale from 0, slow, to 9; 2 is its own advice."""


class Mp3Coder:
    """See `formats.Coder`. Decoders give 20 to 60 ms more than was fed, of silence."""

    head = b""

    def __init__(self, sample_rate: int, bitrate: int) -> None:
        import lameenc

        self._lame = lameenc.Encoder()
        self._lame.silence()
        self._lame.set_channels(1)
        self._lame.set_in_sample_rate(sample_rate)
        self._lame.set_out_sample_rate(sample_rate)
        self._lame.set_bit_rate(round(bitrate / 1000))
        self._lame.set_quality(_QUALITY)

    def encode(self, samples: Samples) -> bytes:
        """Feed float32 (n,)."""
        return bytes(self._lame.encode(to_pcm(samples)))

    def finish(self) -> bytes:
        """Encode the rest."""
        return bytes(self._lame.flush())
