"""Train the decoder on, against discriminators that hear what spectral distances do not.

In: `speech/`, `codes/`, `codebooks.npz` and `decoder.pt`, or `decoder_start.pt`. Out: `polish.pt`,
whose averaged decoder goes into the checkpoint, and `polish.csv`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from qwen3_tts_voice import decoder, training
from qwen3_tts_voice.codes import CODEBOOKS, Quantiser
from qwen3_tts_voice.crops import Batch, Crops
from qwen3_tts_voice.decoder_model import build, decode
from qwen3_tts_voice.discriminators import Discriminators, features_apart, fooled, told_apart
from qwen3_tts_voice.speech import FRAME

SPECTRAL, FOOLED, FEATURES = 6.0, 1.0, 4.0
"""Weights of the losses: of the spectral distances, and of the two that the discriminators give."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(decoder.Recipe):
    """How the decoder is polished: what differs from how it is trained.

    Attributes:
        listened: Frames of a crop that the discriminators hear.
        alone: Steps in which only the discriminators learn.
    """

    steps: int = 40_000
    fall: int = 25_000
    rate: float = 2e-4
    matrix_rate: float = 2e-3
    clip: float = 20.0
    listened: int = 9
    alone: int = 100


class Training(training.Training):
    """The decoder and its discriminators; both learn in every step."""

    name = "polish"
    recipe: Recipe

    def __init__(self, work: Path, recipe: Recipe) -> None:
        self.decoder = build(Quantiser.load(work / CODEBOOKS), recipe.seed)
        self.decoder.load_state_dict(training.averaged(work, decoder.Training.name))
        self.discriminators = Discriminators()
        parts = {"decoder": self.decoder, "discriminators": self.discriminators}
        theirs = self.discriminators.parameters()
        optimisers = [
            *decoder.optimisers(self.decoder, recipe),
            torch.optim.AdamW(theirs, lr=recipe.rate, betas=(0.8, 0.99), weight_decay=0.0),
        ]
        super().__init__(work, recipe, nn.ModuleDict(parts), optimisers)

    def batches(self) -> Iterator[Batch]:
        """Draw crops without end."""
        drawn = Crops(self.work, self.recipe)
        while True:
            yield drawn.draw(self.step)

    def judge(self, batch: Batch) -> training.Judged:
        """Add the losses of the decoder and those of the discriminators.

        Neither reaches into the other's weights: the discriminators see the made samples detached,
        and the decoder is judged by a copy of the discriminators that does not learn.
        """
        codes, samples, starts = batch
        made = decode(self.decoder, codes)
        spectrum, mel = decoder.distances(made, samples, starts)
        first = decoder.WARM_UP + self.step % (
            codes.shape[2] - self.recipe.listened - decoder.WARM_UP + 1
        )
        piece = slice(first * FRAME, (first + self.recipe.listened) * FRAME)
        real = self.discriminators(samples[:, piece])
        apart = told_apart(real, self.discriminators(made[:, piece].detach()))
        fixed = {name: p.detach() for name, p in self.discriminators.named_parameters()}
        seen = torch.func.functional_call(self.discriminators, fixed, made[:, piece])
        fool, features = fooled(seen), features_apart(real, seen)
        loss = SPECTRAL * (spectrum + mel) + FOOLED * fool + FEATURES * features
        shown = {
            "spectrum": spectrum,
            "mel": mel,
            "apart": apart,
            "fool": fool,
            "features": features,
        }
        learning = self.step >= self.recipe.alone
        return training.Judged(
            apart + loss if learning else apart,
            {name: float(value.detach()) for name, value in shown.items()},
            codes[:, 0].numel(),
        )
