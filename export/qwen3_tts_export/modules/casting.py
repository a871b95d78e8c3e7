"""Where one type ends and the next begins. A tensor that is in the type already gets no node."""

import torch
from torch import Tensor


def cast(x: Tensor, like: Tensor) -> Tensor:
    """X in the type of `like`."""
    return x if x.dtype == like.dtype else x.to(like.dtype)


def wide(x: Tensor) -> Tensor:
    """X in float32."""
    return x if x.dtype == torch.float32 else x.float()
