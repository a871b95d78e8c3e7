"""Samples → log-mel frames, as the speaker encoder hears them. numpy alone; 24 kHz only.

The numbers here stand in the official code and in no checkpoint's files. All is float32, as it is
there: between the harmonics of a pure tone, where there is less sound than a Fourier transform in
float32 rounds off, the two differ by what both get wrong.
"""

import functools

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.arrays import Rows, Samples, Vector
from qwen3_tts_edge.errors import InputError

SAMPLE_RATE = 24_000
BANDS = 128
HOP = 256
"""Samples a mel frame."""

_WINDOW = 1024
_MIRRORED = (_WINDOW - HOP) // 2
_HIGHEST = 12_000.0  # Hz
_FRAMES_AT_ONCE = 1024

Mel = Rows
"""float32 (frames, 128), natural logarithms of at least 1e-5."""


def log_mel(samples: Samples) -> Mel:
    """Analyse mono audio at 24 kHz.

    Args:
        samples: float32 (n,), n over 384.

    Returns:
        float32 (n // 256, 128).

    Raises:
        InputError: Not one channel, or too short to be mirrored at its ends.

    Source: mel_spectrogram in qwen_tts/core/models/modeling_qwen3_tts.py as
        extract_speaker_embedding calls it.
    """
    if samples.ndim != 1 or len(samples) <= _MIRRORED:
        raise InputError(
            f"audio has shape {samples.shape}; expected one channel of over {_MIRRORED} samples"
        )
    around = np.pad(samples.astype(np.float32, copy=False), _MIRRORED, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(around, _WINDOW)[::HOP]
    mel = np.empty((len(windows), BANDS), np.float32)
    for start in range(0, len(windows), _FRAMES_AT_ONCE):
        spectrum = np.fft.rfft(windows[start : start + _FRAMES_AT_ONCE] * _hann())
        magnitude = np.sqrt(spectrum.real**2 + spectrum.imag**2 + np.float32(1e-9))
        mel[start : start + len(magnitude)] = np.log(np.maximum(magnitude @ _bands().T, 1e-5))
    return mel


@functools.cache
def _hann() -> Vector:
    # In float32 from the first step on, as the official one: a better window is farther from it.
    half, step = np.float32(0.5), np.float32(2 * np.pi / _WINDOW)
    window: Vector = half - half * np.cos(np.arange(_WINDOW, dtype="f4") * step)
    return window


@functools.cache
def _bands() -> Vector:
    """Triangles of equal area, (128, 513): even steps up to 1 kHz, even ratios above.

    Source: librosa.filters.mel, which is Slaney's Auditory Toolbox.
    """
    frequency = np.arange(_WINDOW // 2 + 1) * SAMPLE_RATE / _WINDOW
    edges = _hertz(np.linspace(0.0, _mels(_HIGHEST), BANDS + 2))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequency - low) / (middle - low), (high - frequency) / (high - middle)
    bands = np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low)
    return bands.astype(np.float32)


_STEP = 200 / 3  # Hz a mel, up to 1 kHz, which is 15 mel
_RATIO = np.log(6.4) / 27  # of the frequencies of one mel and the next, above


def _mels(hertz: float) -> float:
    return float(15.0 + np.log(hertz / 1000.0) / _RATIO)  # above 1 kHz only


def _hertz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mels < 15.0, mels * _STEP, 1000.0 * np.exp(_RATIO * (mels - 15.0)))
