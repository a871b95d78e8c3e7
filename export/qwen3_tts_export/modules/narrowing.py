"""Where one type, or one tensor, ends and the next begins, in as few nodes as can be."""

import torch
from torch import Tensor


def cast(x: Tensor, like: Tensor) -> Tensor:
    """Cast x to the type of `like`; no node where it has that type."""
    return x if x.dtype == like.dtype else x.to(like.dtype)


def wide(x: Tensor) -> Tensor:
    """Cast x to float32; no node where it is."""
    return x if x.dtype == torch.float32 else x.float()


def columns(x: Tensor) -> list[Tensor]:
    """(batch, n) -> n times (batch,), by one node for all of them."""
    return [column.squeeze(1) for column in torch.split(x, 1, dim=1)]
