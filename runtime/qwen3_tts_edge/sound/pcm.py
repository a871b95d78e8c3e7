"""Samples → PCM without any header, sample by sample."""

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import soundfile

from qwen3_tts_edge.arrays import Samples


def to_pcm(samples: Samples) -> bytes:
    """Little-endian 16-bit PCM; what lies outside [-1, 1] is clipped.

    Args:
        samples: float32 (n,).
    """
    return rounded(samples).tobytes()


def rounded(samples: Samples) -> npt.NDArray[np.int16]:
    """The numbers that every format begins with, little-endian int16 (n,)."""
    numbers: npt.NDArray[np.int16] = np.rint(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")
    return numbers


def to_float(samples: Samples) -> bytes:
    """Little-endian 32-bit floating point; what lies outside [-1, 1] is clipped."""
    return np.clip(samples, -1.0, 1.0).astype("<f4").tobytes()


def to_mulaw(samples: Samples) -> bytes:
    """G.711 μ-law, a byte a sample."""
    return _g711(samples, "ULAW")


def to_alaw(samples: Samples) -> bytes:
    """G.711 A-law, a byte a sample."""
    return _g711(samples, "ALAW")


def _g711(samples: Samples, law: str) -> bytes:
    coded = io.BytesIO()
    # The rate is in no header: any does.
    soundfile.write(coded, rounded(samples), 8000, law, format="RAW")
    return coded.getvalue()


class RawCoder:
    """A format in which each sample stands for itself, see `formats.Coder`."""

    head = b""

    def __init__(self, to_bytes: Callable[[Samples], bytes]) -> None:
        self.encode = to_bytes

    def finish(self) -> bytes:
        """Nothing is held back."""
        return b""
