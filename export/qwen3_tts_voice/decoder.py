"""Train the codec decoder: codes to samples, by spectral distance alone; resumable.

In: `speech/`, `codes/`, `codebooks.npz`, and `decoder_start.pt` if there is one. Out: `decoder.pt`
and `decoder.csv`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from qwen3_tts_voice import crops, training
from qwen3_tts_voice.codes import CODEBOOKS, Quantiser
from qwen3_tts_voice.crops import Batch, Crops
from qwen3_tts_voice.decoder_model import build, decode
from qwen3_tts_voice.features import hann, log_mel
from qwen3_tts_voice.muon import Muon, parted
from qwen3_tts_voice.speech import FRAME

WINDOWS = ((256, 64), (512, 128), (1024, 256), (2048, 480))
QUIET = 1e-2
"""What is below does not count: gradients of inaudible bins would drown the others."""
WARM_UP = 2
"""Frames of a crop that are not judged: they lack what came before."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(crops.Recipe):
    """How the decoder is trained.

    Attributes:
        matrix_rate: Learning rate of Muon: of convolutions and the matrices of the transformer.
    """

    steps: int = 12_000
    fall: int = 9000
    lowest: float = 0.05
    rate: float = 1e-3
    matrix_rate: float = 0.008
    clip: float = 5.0
    kept: float = 0.999
    report_every: int = 25
    save_every: int = 100
    crops: int = 3
    frames: int = 16
    guessed: float = 0.6
    heard: float = 0.2
    shards: int = 12


def spectral_distance(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Add log-magnitude distance and spectral convergence over four resolutions."""
    total = torch.zeros(())
    for size, hop in WINDOWS:
        a, b = (
            torch.stft(x, size, hop, window=hann(size), center=True, return_complex=True)
            for x in (made, true)
        )
        a, b = (torch.sqrt(x.real**2 + x.imag**2 + 1e-7) for x in (a, b))
        total = total + F.l1_loss(torch.log(a + QUIET), torch.log(b + QUIET))
        total = total + torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b)
    return total / len(WINDOWS)


def distances(
    made: torch.Tensor, samples: torch.Tensor, starts: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the spectral and the log-mel distance of crops, warm-up frames left out."""
    judged = starts[:, None] | (torch.arange(made.shape[1]) >= WARM_UP * FRAME)
    made = torch.where(judged, made, samples)
    one, other = (log_mel(x).clamp(min=math.log(QUIET)) for x in (made, samples))
    return spectral_distance(made, samples), F.l1_loss(one, other)


def optimisers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Make the optimisers of a decoder: the codebooks' rows and what is small are AdamW's."""
    matrices, rest = parted(model, "pre_conv.", "pre_transformer.", "upsample.", "decoder.")
    return [
        Muon(matrices, lr=recipe.matrix_rate),
        torch.optim.AdamW(rest, lr=recipe.rate, betas=(0.8, 0.99), weight_decay=0.0),
    ]


class Training(training.Training):
    """The decoder, judged by what it makes of crops."""

    name = "decoder"
    recipe: Recipe

    def __init__(self, work: Path, recipe: Recipe) -> None:
        self.decoder = build(Quantiser.load(work / CODEBOOKS), recipe.seed)
        super().__init__(work, recipe, self.decoder, optimisers(self.decoder, recipe))

    def batches(self) -> Iterator[Batch]:
        """Draw crops without end."""
        drawn = Crops(self.work, self.recipe)
        while True:
            yield drawn.draw(self.step)

    def judge(self, batch: Batch) -> training.Judged:
        """Decode the codes and compare with the true samples."""
        codes, samples, starts = batch
        spectrum, mel = distances(decode(self.decoder, codes), samples, starts)
        shown = {"spectrum": spectrum.item(), "mel": mel.item()}
        return training.Judged(spectrum + mel, shown, codes[:, 0].numel())
