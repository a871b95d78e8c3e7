"""Networks that tell the decoder's sound from the teacher's: by period, and by spectrum.

As the field has them, in small: HiFi-GAN's multi-period discriminators (Kong et al., 2020) fold the
waveform so that every Pth sample stands in a column; multi-resolution ones (UnivNet, Jang et al.,
2021; EnCodec, Défossez et al., 2022) see its complex spectrogram.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from qwen3_tts_voice.features import hann

PERIODS = (2, 3, 5, 7, 11)
RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))
"""Window and hop in samples."""
SLOPE = 0.1

Seen = tuple[torch.Tensor, list[torch.Tensor]]
"""What a discriminator says everywhere, 1 for real and 0 for made, and its hidden features."""


class ByPeriod(nn.Module):
    """Judges samples folded to rows of a period."""

    def __init__(self, period: int) -> None:
        super().__init__()
        self.period = period
        widths = (1, 16, 48, 96, 96)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(one, other, (5, 1), (3, 1), padding=(2, 0)))
            for one, other in itertools.pairwise(widths)
        )
        self.last = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, samples: torch.Tensor) -> Seen:
        """Judge samples (n, time)."""
        over = -samples.shape[1] % self.period
        x = F.pad(samples[:, None], (0, over), "reflect")
        return _through(self.layers, self.last, x.unflatten(2, (-1, self.period)))


class BySpectrum(nn.Module):
    """Judges the complex spectrogram of samples."""

    def __init__(self, window: int, hop: int) -> None:
        super().__init__()
        self.window, self.hop = window, hop
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(one, 24, (3, 7), (1, stride), padding=(1, 3)))
            for one, stride in ((2, 2), (24, 2), (24, 2), (24, 1))
        )
        self.last = weight_norm(nn.Conv2d(24, 1, 3, padding=1))

    def forward(self, samples: torch.Tensor) -> Seen:
        """Judge samples (n, time)."""
        spectrum = torch.stft(
            samples, self.window, self.hop, window=hann(self.window), return_complex=True
        )
        # The square root of the magnitude, so that what is faint counts too.
        scale = (spectrum.abs() + 1e-4) ** -0.5 / self.window**0.25
        x = torch.view_as_real(spectrum * scale).permute(0, 3, 2, 1)
        return _through(self.layers, self.last, x)


def _through(layers: nn.ModuleList, last: nn.Module, x: torch.Tensor) -> Seen:
    features = []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for layer in layers:
            x = F.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return last(x).float(), features


class Discriminators(nn.Module):
    """All of them."""

    def __init__(self) -> None:
        super().__init__()
        by_period = [ByPeriod(period) for period in PERIODS]
        self.each = nn.ModuleList([*by_period, *(BySpectrum(*size) for size in RESOLUTIONS)])

    def forward(self, samples: torch.Tensor) -> list[Seen]:
        """Judge samples (n, time)."""
        return [one(samples) for one in self.each]


def told_apart(real: list[Seen], made: list[Seen]) -> torch.Tensor:
    """Compute how badly the discriminators tell real from made, by least squares."""
    errors = [
        ((one - 1) ** 2).mean() + (other**2).mean()
        for (one, _), (other, _) in zip(real, made, strict=True)
    ]
    return torch.stack(errors).mean()


def fooled(made: list[Seen]) -> torch.Tensor:
    """Compute how badly the decoder fools the discriminators, by least squares."""
    return torch.stack([((one - 1) ** 2).mean() for one, _ in made]).mean()


def features_apart(real: list[Seen], made: list[Seen]) -> torch.Tensor:
    """Compute the distance of the hidden features, each against the size of the real one's."""
    distances = [
        (a.detach().float() - b.float()).abs().mean() / a.detach().float().abs().mean()
        for (_, seen), (_, other) in zip(real, made, strict=True)
        for a, b in zip(seen, other, strict=True)
    ]
    return torch.stack(distances).mean()
