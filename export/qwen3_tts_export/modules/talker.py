"""The talker: input rows in, codebook-0 logits and the hidden state for the code predictor out."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qwen3_tts_export.checkpoint.config import TalkerConfig
from qwen3_tts_export.modules.layers import (
    Cache,
    Linear,
    Trunk,
    Weights,
    copied,
    transposed,
    trunk_weights,
)


class Talker(nn.Module):
    """One step of the talker over one row (a frame) or many (a prompt).

    Source: Qwen3TTSTalkerForConditionalGeneration.forward in
        qwen_tts/core/models/modeling_qwen3_tts.py.
    """

    def __init__(self, config: TalkerConfig, max_positions: int) -> None:
        super().__init__()
        self.trunk = Trunk(config, max_positions)
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.head = Linear(config.hidden_size, config.vocab_size)

    def forward(
        self,
        rows: Tensor,
        length: Tensor,
        position: Tensor,
        past: Cache,
        total: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Cache]:
        """Advance by `length` rows.

        Args:
            rows: (batch, rows, hidden); batch row b uses its first length[b] rows. Rows beyond
                are padding: they are overwritten in the cache before anything can see them.
            length: int64 (batch,); 0 for a batch row that rests, whose results mean nothing.
            position: int64 (batch,), rows already in the cache.
            past: per layer, key and value (batch, kv_heads, capacity, head_dim).
            total: int32 (1,), see `attention`.

        Returns:
            Logits (batch, vocab) and normalised hidden state (batch, 1, hidden) of the last valid
            row, and the caches.
        """
        # Counted: the size of an axis is a number on the host, and would draw positions there.
        count = torch.ones_like(rows[..., 0], dtype=torch.int64).sum(dim=1)
        hidden, present = self.trunk(rows, position + count - 1, past, total)
        valid = (length - 1).clamp(min=0)[:, None, None].expand(-1, 1, hidden.shape[-1])
        hidden = hidden.gather(1, valid)
        return self.head(hidden).squeeze(1), hidden, present


def talker_weights(
    tensors: Mapping[str, Tensor], config: TalkerConfig, max_positions: int
) -> Weights:
    """What `Talker` is made of, from the official `talker.*` tensors."""
    weights: Weights = {
        "embedding.weight": copied(tensors, "talker.model.codec_embedding.weight"),
        "head.weight": transposed(tensors, "talker.codec_head.weight"),
    }
    return weights | trunk_weights(tensors, "talker.model", config, max_positions)


def text_rows(tensors: Mapping[str, Tensor], ids: Tensor) -> Tensor:
    """Text embedding through the text projection: what a text id adds to a talker input row.

    Args:
        tensors: the official `talker.*` tensors.
        ids: int64 (n,), text ids.

    Returns:
        float32 (n, hidden).

    Source: Qwen3TTSTalkerResizeMLP in qwen_tts/core/models/modeling_qwen3_tts.py. It works on
        each id alone, so the whole table can be folded ahead of time.
    """
    prefix = "talker.text_projection.linear_fc"
    # In float64, so that every processor rounds to the same float32: bundles are compared by hash.
    x = tensors["talker.model.text_embedding.weight"][ids].double()
    x = F.linear(x, tensors[f"{prefix}1.weight"].double(), tensors[f"{prefix}1.bias"].double())
    x = F.linear(
        F.silu(x), tensors[f"{prefix}2.weight"].double(), tensors[f"{prefix}2.bias"].double()
    )
    return x.float()
