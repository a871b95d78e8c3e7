"""Attention in the operations of ONNX itself, as TensorRT has them: cache and mask in plain sight.

TensorRT ignores Attention's `nonpad_kv_seqlen` without an error and takes neither its cache inputs
nor its other outputs, so TensorScatter writes the cache, and what may be seen is a mask.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.onnx import ops

from qwen3_tts_export.modules.attention import heads_of
from qwen3_tts_export.modules.narrowing import cast


def attention(
    qkv: Tensor,
    q_norm: Tensor,
    k_norm: Tensor,
    past_key: Tensor,
    past_value: Tensor,
    last: Tensor,
    cos: Tensor,
    sin: Tensor,
    eps: float,
    total: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """What `modules.attention.in_full` says, in seven nodes of ONNX and the mask."""
    batch, rows, _ = qkv.shape
    at = last[:, None] + torch.arange(1 - rows, 1)
    visible = torch.arange(past_key.shape[2]) <= at[:, None, :, None]
    query, key, value = heads_of(qkv, past_key)

    def turned(x: Tensor, norm: Tensor) -> Tensor:
        x = F.rms_norm(cast(x, norm), norm.shape, norm, eps).transpose(1, 2)
        return cast(_node("RotaryEmbedding", x, cos, sin, at, like=x, version=23), past_key)

    def written(past: Tensor, rows: Tensor) -> Tensor:
        inputs = (past, rows, at[:, 0])
        return _node("TensorScatter", *inputs, like=past, version=24, axis=-2, mode="linear")

    present_key = written(past_key, turned(key, k_norm))
    present_value = written(past_value, value.transpose(1, 2))
    q = turned(query, q_norm)
    attended = _node("Attention", q, present_key, present_value, visible, like=q, version=24)
    return attended.transpose(1, 2).reshape(batch, rows, -1), present_key, present_value


def _node(name: str, *inputs: Tensor, like: Tensor, version: int, **attributes: Any) -> Tensor:
    """A node of ONNX whose output has the type and shape of `like`."""
    return ops.symbolic(
        name, inputs, attributes, dtype=like.dtype, shape=like.shape, version=version
    )
