"""Choosing a code: the second operation that each graph flavour lowers its own way.

The draw is an input, never made here: the same draw gives the same code in every batch slot,
chunking and backend.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@torch.library.custom_op("qwen3_tts::sample", mutates_args=())
def sample(
    scores: Tensor,
    draw: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    ranks: Tensor | None = None,
) -> Tensor:
    """Temperature, top-k, top-p, then the inverse of the cumulative distribution at `draw`.

    Codes are ranked by score, ties by index, so top_k 1 is the first maximum: greedy decoding.

    Args:
        scores: float32 (batch, vocab), -inf where a code is not allowed.
        draw: float32 (batch,) in [0, 1), of 24 bits: the product with a sum is less than the sum.
        temperature: float32 (batch,), above 0.
        top_k: int64 (batch,), 1 to vocab; vocab keeps every code.
        top_p: float32 (batch,) in (0, 1]; 1 keeps every code.
        ranks: int64 (widest,), 0 to widest - 1, no shorter than the largest top_k: only so many
            codes need be sorted out. None is all of them.

    Returns:
        int64 (batch,), the chosen codes.

    Source: transformers' TemperatureLogitsWarper, TopKLogitsWarper and TopPLogitsWarper in this
        order, as Qwen3TTSForConditionalGeneration.generate sets them up. One difference: of
        several codes tied at rank k they keep all, this keeps the first.
    """
    values, codes = scores.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(scores.shape[-1], device=scores.device) if ranks is None else ranks
    values, codes = values[:, : len(rank)], codes[:, : len(rank)]
    values = values / temperature[:, None]
    values = values.masked_fill(rank >= top_k[:, None], float("-inf"))
    probability = values.softmax(dim=-1)
    before = probability.cumsum(dim=-1) - probability
    cumulative = probability.where(before < top_p[:, None], 0.0).cumsum(dim=-1)
    index = (cumulative <= draw[:, None] * cumulative[:, -1:]).sum(dim=-1)
    return codes.gather(1, index[:, None]).squeeze(1)


@sample.register_fake
def _shape(
    scores: Tensor,
    draw: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    ranks: Tensor | None = None,
) -> Tensor:
    return torch.empty_like(draw, dtype=torch.int64)


@dataclass(frozen=True)
class Choice:
    """The settings of a frame: how each of its codes is chosen.

    Attributes:
        draws: For each code (batch,) in [0, 1).
        temperature: (batch, 2), the talker's and the predictor's; likewise the next two.
        top_k: int64 (batch, 2).
        top_p: (batch, 2).
        ranks: The talker's and the predictor's, as `sample` takes them.
    """

    draws: Sequence[Tensor]
    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    ranks: tuple[Tensor | None, Tensor | None] = (None, None)

    def __call__(self, scores: Tensor, codebook: int) -> Tensor:
        """Scores (batch, vocab) of a codebook -> int64 (batch,)."""
        which = min(codebook, 1)
        return sample(
            scores,
            self.draws[codebook],
            self.temperature[:, which],
            self.top_k[:, which],
            self.top_p[:, which],
            self.ranks[which],
        )
