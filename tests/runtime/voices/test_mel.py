"""The mel front end by itself: bands, lengths, and what it refuses."""

import numpy as np
import pytest

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.voices.mel import BANDS, HOP, SAMPLE_RATE, _bands, log_mel


def tone(hertz: float, samples: int = 12_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(samples) / SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("samples", [385, 511, 512, 1279, 1280, 24_000, 300_001])
def test_a_frame_for_every_256_samples(samples: int) -> None:
    mel = log_mel(tone(440.0, samples))
    assert mel.shape == (samples // HOP, BANDS)
    assert mel.dtype == np.float32
    assert np.isfinite(mel).all()


def test_bands_have_equal_area_and_cover_everything() -> None:
    bands = _bands()
    assert bands.shape == (BANDS, 513)
    assert bands.min() == 0
    width = SAMPLE_RATE / 1024
    areas = bands.sum(axis=1) * width
    assert np.allclose(areas[-40:], 1.0, atol=0.01)  # low bands are narrower than a bin or two
    assert (bands[:, 1:512].max(axis=0) > 0).all()
    peaks = bands.argmax(axis=1) * width
    assert (np.diff(peaks) >= 0).all()


@pytest.mark.parametrize(
    ("hertz", "band"),
    [(200.0, 7), (400.0, 14), (800.0, 29), (1500.0, 52), (3000.0, 77), (6000.0, 103)],
)
def test_a_tone_is_loudest_in_its_band(hertz: float, band: int) -> None:
    """Even steps of 26.4 Hz up to 1 kHz, then 2.76 % a band: 25.4 bands an octave."""
    assert log_mel(tone(hertz))[20].argmax() == band


def test_silence_is_its_own_floor() -> None:
    mel = log_mel(np.zeros(5_000, np.float32))
    assert np.ptp(mel, axis=0).max() == 0
    assert (mel >= np.log(np.float32(1e-5)) - 1e-6).all()


def test_a_frame_hears_only_its_window() -> None:
    """Frame t lies over samples 256 t - 384 to 256 t + 640."""
    quiet, loud = np.zeros(20_000, np.float32), np.zeros(20_000, np.float32)
    loud[10_000] = 1.0
    different = np.flatnonzero((log_mel(quiet) != log_mel(loud)).any(axis=1))
    assert different.min() == -(-(10_000 - 640 + 1) // HOP)
    assert different.max() == (10_000 + 384 - 1) // HOP


def test_long_audio_is_analysed_in_pieces_without_a_seam() -> None:
    """1024 frames at a time; what is heard does not depend on where the audio begins."""
    samples = np.random.default_rng(0).standard_normal(1043 * HOP).astype(np.float32)
    whole, end = log_mel(samples), log_mel(samples[1000 * HOP :])
    assert len(whole) == 1043
    assert np.abs(end[2:] - whole[1002:]).max() < 1e-5


@pytest.mark.parametrize(
    "samples",
    [np.zeros(384, np.float32), np.zeros(0, np.float32), np.zeros((2, 9_000), np.float32)],
)
def test_what_cannot_be_mirrored_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(InputError, match="expected one channel of over 384 samples"):
        log_mel(samples)
