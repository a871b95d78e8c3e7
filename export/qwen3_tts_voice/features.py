"""Log-mel and pitch of 80 ms blocks: what codebooks 1 to 15 quantise, and the codec's yardstick."""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F

RATE, HOP, WINDOW, BINS = 24_000, 240, 1024, 80
PER_FRAME = 8
"""10 ms steps in a codec frame of 80 ms."""


@functools.cache
def mel_filters() -> torch.Tensor:
    """Make the (80, 513) filter bank, 0 to 12 kHz."""

    def mel(hz: float) -> float:
        return float(2595 * np.log10(1 + hz / 700))

    edges = 700 * (10 ** (np.linspace(mel(0), mel(12_000), BINS + 2) / 2595) - 1)
    bins = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    rising = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    shape = np.maximum(0, np.minimum(rising, falling))
    return torch.tensor(shape * (2 / (edges[2:] - edges[:-2]))[:, None] * 50, dtype=torch.float32)


@functools.cache
def hann(size: int) -> torch.Tensor:
    """Give Hann's window, made once for each size."""
    return torch.hann_window(size)


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """Turn samples (n, time) into log mel (n, time / 240, 80), step t centred on 240 t + 120."""
    steps = samples.shape[-1] // HOP
    padded = F.pad(samples, (WINDOW // 2 - HOP // 2, WINDOW // 2 + HOP // 2))
    spectrum = torch.stft(
        padded, WINDOW, HOP, window=hann(WINDOW), center=False, return_complex=True
    )
    mel = torch.matmul(mel_filters(), spectrum.abs()[..., :steps])
    return torch.log(mel.clamp(min=3e-4)).transpose(1, 2)


def pitch_track(pitch: torch.Tensor) -> torch.Tensor:
    """Turn pitch in Hz (time,) into voicing and scaled log pitch (time, 2)."""
    voiced = (pitch > 60).float()
    height = torch.where(pitch > 60, torch.log(pitch.clamp(min=60) / 200) * 3, torch.zeros(()))
    return torch.stack([voiced, height], 1)


def blocks(samples: torch.Tensor, pitch: torch.Tensor) -> torch.Tensor:
    """Cut one utterance into blocks (frames, 8 * 80 + 8 * 2)."""
    mel = log_mel(samples[None])[0]
    frames = len(mel) // PER_FRAME
    used = frames * PER_FRAME
    tracks = pitch_track(pitch)[:used]
    return torch.cat([mel[:used].reshape(frames, -1), tracks.reshape(frames, -1)], 1)
