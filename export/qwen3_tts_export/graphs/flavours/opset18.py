"""What ONNX has no operation for before opset 23, as its definition says."""

import torch
from torch import Tensor


def rms_norm(x: Tensor, shape: torch.Size, weight: Tensor, eps: float) -> Tensor:
    """Norm x over its last axis; the squares are summed in float32 whatever the type."""
    assert shape == weight.shape
    wide = x.float()
    return (wide * (wide.pow(2).mean(-1, keepdim=True) + eps).rsqrt() * weight).to(x.dtype)
