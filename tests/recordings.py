"""Recordings that nobody has made, as tests of references give them."""

import io

import numpy as np
import soundfile

RATE = 24000


def voice(seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    """A harmonic tone that swells three times a second, float32 (n,), within 0.6."""
    at = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * 140 * k * at) / k for k in range(1, 8))
    return (0.12 * tone * (1.2 + np.sin(6 * np.pi * at))).astype(np.float32)


def wav(samples: np.ndarray, rate: int = RATE, subtype: str = "FLOAT", kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format=kind)
    return file.getvalue()
