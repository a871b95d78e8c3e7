"""Train the codec encoder: samples to codes, resumable.

Each codebook has a corner of the quantiser's space to itself, so the residual of one stage is the
next stage's input unchanged, and the nearest row of every codebook can be trained like a class.
In: `speech/`, `codes/`. Out: `encoder.pt` and `encoder.csv`.
"""

from __future__ import annotations

import csv
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from qwen3_tts_voice.codes import BOOKS, CODES
from qwen3_tts_voice.decoder import Crops
from qwen3_tts_voice.decoder import Recipe as CropRecipe
from qwen3_tts_voice.decoder_model import WIDTH, official

CONFIG: dict[str, Any] = {
    "codebook_dim": WIDTH,
    "codebook_size": CODES,
    "vector_quantization_hidden_dimension": WIDTH,
    "hidden_size": 192,
    "num_filters": 8,
    "num_residual_layers": 1,
    "kernel_size": 7,
    "last_kernel_size": 3,
    "residual_kernel_size": 3,
    "dilation_growth_rate": 2,
    "compress": 2,
    "norm_eps": 1e-05,
    "rope_theta": 10_000.0,
    "num_quantizers": BOOKS,
    "num_semantic_quantizers": 1,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 48,
    "intermediate_size": 256,
    "sampling_rate": 24_000,
    "frame_rate": 12.5,
    "upsampling_ratios": [8, 6, 5, 4],
    "sliding_window": 250,
    "max_position_embeddings": 8000,
    "use_causal_conv": True,
    "upsample_groups": 192,
    "model_type": "mimi",
}
CORNER = WIDTH // (BOOKS - 1)
"""Dimensions of a codebook from 1 on; codebook 0 has a projection and all of them to itself."""
UNJUDGED = 4
"""Frames of a crop from the middle of an utterance that lack what came before."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How it is trained.

    Attributes:
        steps: In all; the learning rate falls from `rate` over the last `fall` of them.
        fall: See `steps`.
        crops: A step.
        frames: A crop.
        shards: How many shards are read.
        rate: Learning rate of AdamW.
        seed: Of everything.
    """

    steps: int = 5000
    fall: int = 3000
    crops: int = 8
    frames: int = 32
    shards: int = 16
    rate: float = 1.5e-3
    seed: int = 0


class Encoder(nn.Module):
    """The official encoder, and its codebooks as something to be trained."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        official()
        from qwen_tts.core.tokenizer_12hz.modeling_qwen3_tts_tokenizer_v2 import (
            MimiConfig,
            Qwen3TTSTokenizerV2Encoder,
        )

        torch.manual_seed(seed)
        config = MimiConfig(**CONFIG)
        config._attn_implementation = "eager"
        self.encoder = Qwen3TTSTokenizerV2Encoder(config)
        self.rows = nn.Parameter(0.5 * torch.randn(BOOKS - 1, CODES, CORNER))
        self.first_rows = nn.Parameter(0.1 * torch.randn(CODES, WIDTH))

    def forward(self, samples: torch.Tensor) -> list[torch.Tensor]:
        """Samples (n, time) → for each codebook the logits (n, frames, 256) of its codes."""
        encoder = self.encoder
        x = encoder.encoder(samples[:, None]).transpose(1, 2)
        x = encoder.encoder_transformer(x).last_hidden_state.transpose(1, 2)
        x = encoder.downsample(x)
        semantic, acoustic = (
            getattr(encoder.quantizer, f"{kind}_residual_vector_quantizer")
            .input_proj(x)
            .transpose(1, 2)
            for kind in ("semantic", "acoustic")
        )
        corners = acoustic[..., : CORNER * (BOOKS - 1)].unflatten(-1, (BOOKS - 1, CORNER))
        found = [_nearness(semantic, self.first_rows)]
        return found + [_nearness(corners[..., b, :], self.rows[b]) for b in range(BOOKS - 1)]

    @torch.no_grad()
    def official_state(self) -> dict[str, torch.Tensor]:
        """The official encoder's state, the codebooks in it."""
        state: dict[str, torch.Tensor] = self.encoder.state_dict()
        name = "quantizer.{}_residual_vector_quantizer.layers.{}.codebook.embed_sum"
        state[name.format("semantic", 0)] = self.first_rows
        for book, rows in enumerate(self.rows):
            wide = torch.zeros(CODES, WIDTH)
            wide[:, book * CORNER : (book + 1) * CORNER] = rows
            state[name.format("acoustic", book)] = wide
        return state


def _nearness(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Minus the squared distance to each row, but for what is the same for all of them."""
    return 2 * x @ rows.T - (rows**2).sum(1)


class Training:
    """The encoder, its optimiser and where they are."""

    def __init__(self, work: Path, recipe: Recipe) -> None:
        self.work, self.recipe = work, recipe
        self.encoder = Encoder(recipe.seed)
        self.average = {k: v.detach().clone() for k, v in self.encoder.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.encoder.parameters(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.01
        )
        self.step, self.seconds = 0, 0.0
        if self.path.exists():
            stored = torch.load(self.path)
            self.encoder.load_state_dict(stored["encoder"])
            self.optimiser.load_state_dict(stored["optimiser"])
            self.average = stored["average"]
            self.step, self.seconds = stored["step"], stored["seconds"]

    @property
    def path(self) -> Path:
        """The file it is stored in."""
        return self.work / "encoder.pt"

    def save(self) -> None:
        """Store it; the file is replaced whole."""
        aside = self.path.with_suffix(".part")
        stored: dict[str, Any] = {
            "encoder": self.encoder.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(stored, aside)
        aside.rename(self.path)

    def run(self, report: Callable[[str], None], every: int = 50, save_every: int = 200) -> None:
        """Train to the recipe's last step."""
        recipe = self.recipe
        crops = Crops(
            self.work,
            CropRecipe(
                crops=recipe.crops,
                frames=recipe.frames,
                shards=recipe.shards,
                guessed=0.0,
                seed=recipe.seed + self.step,
            ),
        )
        sums, began = torch.zeros(2), time.process_time()
        while self.step < recipe.steps:
            sums += self._one(*crops.draw())
            if self.step % every == 0:
                self.seconds += time.process_time() - began
                loss, right = (sums / every).tolist()
                report(
                    f"step {self.step}, {self.seconds / 60:.1f} min: loss {loss:.3f}, "
                    f"codebook 0 right {right:.3f}"
                )
                self._log(loss, right)
                sums, began = torch.zeros(2), time.process_time()
            if self.step % save_every == 0 or self.step == recipe.steps:
                self.save()

    def _one(
        self, codes: torch.Tensor, samples: torch.Tensor, starts: torch.Tensor
    ) -> torch.Tensor:
        recipe = self.recipe
        left = max(0.0, (recipe.steps - self.step) / recipe.fall)
        scale = min(1.0, (self.step + 1) / 100, 0.03 + 0.97 * left)
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate * scale
        judged = starts[:, None] | (torch.arange(codes.shape[2]) >= UNJUDGED)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = self.encoder(samples)
        true = codes.transpose(1, 2)[judged]
        losses = [
            F.cross_entropy(logits.float()[judged], true[:, book])
            for book, logits in enumerate(found)
        ]
        self.optimiser.zero_grad()
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.encoder.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        keep = min(0.998, (self.step + 1) / (self.step + 20))
        with torch.no_grad():
            for name, value in self.encoder.state_dict().items():
                if value.dtype.is_floating_point:
                    self.average[name].lerp_(value, 1 - keep)
        right = (found[0][judged].argmax(-1) == true[:, 0]).float().mean()
        return torch.stack([torch.stack(losses).mean().detach(), right])

    def _log(self, loss: float, right: float) -> None:
        path = self.work / "encoder.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", "seconds", "loss", "right"])
            writer.writerow([self.step, self.seconds, loss, right])
