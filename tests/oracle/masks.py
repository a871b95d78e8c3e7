"""Attention masks of `transformers`, by broadcasting.

It applies a mask's rule to every pair of positions by four nested vmaps, which take two thirds of
the time of a tiny model. The rules are made of comparisons and of tensors that are indexed, so that
positions that broadcast give the same mask.
"""

from collections.abc import Callable

from torch import Tensor
from transformers import masking_utils

Rule = Callable[..., Tensor]

by_vmap = masking_utils._vmap_for_bhqkv


def by_broadcasting(rule: Rule) -> Rule:
    """Do what `by_vmap` does.

    Args:
        rule: Of four indices, batch, head, query and key: whether this key is seen.

    Returns:
        The same of four ranges of them: bool (batch, heads, queries, keys).
    """

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        seen = rule(batch[:, None, None, None], head[:, None, None], query[:, None], key)
        return seen.expand(len(batch), len(head), len(query), len(key))

    return mask


def install() -> None:
    """Make all masks this way."""
    masking_utils._vmap_for_bhqkv = by_broadcasting
