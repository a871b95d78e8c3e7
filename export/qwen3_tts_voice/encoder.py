"""Train the codec encoder: samples to codes, resumable.

Each codebook has a corner of the quantiser's space to itself, so the residual of one stage is the
next stage's input unchanged, and the nearest row of every codebook can be trained like a class.
The official encoder hears nothing of what comes, and the codes of a frame name the phoneme that
follows it: so it learns to say them a frame late.
In: `speech/`, `codes/`. Out: `encoder.pt` and `encoder.csv`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from qwen3_tts_voice import crops, training
from qwen3_tts_voice.codes import BOOKS, CODES
from qwen3_tts_voice.crops import Batch, Crops
from qwen3_tts_voice.decoder_model import WIDTH, official
from qwen3_tts_voice.muon import Muon, parted

CONFIG: dict[str, Any] = {
    "codebook_dim": WIDTH,
    "codebook_size": CODES,
    "vector_quantization_hidden_dimension": WIDTH,
    "hidden_size": 256,
    "num_filters": 16,
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
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "intermediate_size": 512,
    "sampling_rate": 24_000,
    "frame_rate": 12.5,
    "upsampling_ratios": [8, 6, 5, 4],
    "sliding_window": 250,
    "max_position_embeddings": 8000,
    "use_causal_conv": True,
    "upsample_groups": 256,
    "model_type": "mimi",
}
LATE = 1
"""Frames by which its codes come later than what they are of; the first ones repeat the first."""
CORNER = WIDTH // (BOOKS - 1)
"""Dimensions of a codebook from 1 on; codebook 0 has a projection and all of them to itself."""
UNJUDGED = 4
"""Frames of a crop from the middle of an utterance that lack what came before."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(crops.Recipe):
    """How the encoder is trained.

    Attributes:
        matrix_rate: Learning rate of Muon: of convolutions and the matrices of the transformer.
    """

    steps: int = 5000
    fall: int = 3000
    lowest: float = 0.03
    rate: float = 1.5e-3
    matrix_rate: float = 0.015
    clip: float = 1.0
    kept: float = 0.998
    save_every: int = 200
    crops: int = 5
    frames: int = 32
    shards: int = 16


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
        """Turn samples (n, time) into logits (n, frames, 256) of each codebook."""
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
        """Return the official encoder's state, the codebooks in it."""
        state: dict[str, torch.Tensor] = self.encoder.state_dict()
        name = "quantizer.{}_residual_vector_quantizer.layers.{}.codebook.embed_sum"
        state[name.format("semantic", 0)] = self.first_rows
        for book, rows in enumerate(self.rows):
            wide = torch.zeros(CODES, WIDTH)
            wide[:, book * CORNER : (book + 1) * CORNER] = rows
            state[name.format("acoustic", book)] = wide
        return state


def late(codes: torch.Tensor) -> torch.Tensor:
    """Turn true codes (n, frames, 16) into those that the encoder is to say."""
    return torch.cat([codes[:, :1].expand(-1, LATE, -1), codes[:, :-LATE]], 1)


def _nearness(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Compute minus the squared distance to each row, up to a constant."""
    return 2 * x @ rows.T - (rows**2).sum(1)


class Training(training.Training):
    """The encoder, judged by which codes it finds in crops."""

    name = "encoder"
    recipe: Recipe

    def __init__(self, work: Path, recipe: Recipe) -> None:
        self.encoder = Encoder(recipe.seed)
        super().__init__(work, recipe, self.encoder, _optimisers(self.encoder, recipe))

    def batches(self) -> Iterator[Batch]:
        """Draw crops without end."""
        drawn = Crops(self.work, self.recipe)
        while True:
            yield drawn.draw(self.step)

    def judge(self, batch: Batch) -> training.Judged:
        """Compare the codes found with the true ones; `right` is codebook 0's share."""
        codes, samples, starts = batch
        judged = starts[:, None] | (torch.arange(codes.shape[2]) >= UNJUDGED)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = self.encoder(samples)
        true = late(codes.transpose(1, 2))[judged]
        losses = [
            F.cross_entropy(logits.float()[judged], true[:, book])
            for book, logits in enumerate(found)
        ]
        loss = torch.stack(losses).mean()
        right = (found[0][judged].argmax(-1) == true[:, 0]).float().mean()
        shown = {"loss": loss.item(), "right": right.item()}
        return training.Judged(loss, shown, codes[:, 0].numel())


def _optimisers(encoder: Encoder, recipe: Recipe) -> list[torch.optim.Optimizer]:
    parts = ("encoder", "encoder_transformer", "downsample")
    matrices, rest = parted(encoder, *(f"encoder.{part}." for part in parts))
    return [
        Muon(matrices, lr=recipe.matrix_rate),
        torch.optim.AdamW(rest, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.01),
    ]
