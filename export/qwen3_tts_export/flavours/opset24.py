"""Attention in the operations of ONNX itself, as TensorRT has them: cache and mask in plain sight.

TensorRT ignores Attention's `nonpad_kv_seqlen` without an error and takes neither its cache inputs
nor its other outputs, so TensorScatter writes the cache, and what may be seen is a mask.
"""

from typing import Any

import torch
from torch import Tensor
from torch.onnx import ops


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    past_key: Tensor,
    past_value: Tensor,
    last: Tensor,
    cos: Tensor,
    sin: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """What `modules.attention.in_full` says, in five nodes of ONNX and the mask."""
    batch, rows, _ = query.shape
    capacity, head_dim = past_key.shape[2:]
    at = last[:, None] + torch.arange(1 - rows, 1)
    visible = torch.arange(capacity) <= at[:, None, :, None]

    def heads(x: Tensor) -> Tensor:
        return x.reshape(batch, rows, -1, head_dim).transpose(1, 2)

    def rotated(x: Tensor) -> Tensor:
        x = _node("RotaryEmbedding", heads(x), cos, sin, at, like=heads(x), version=23)
        return x.to(past_key.dtype)

    def written(past: Tensor, rows: Tensor) -> Tensor:
        inputs = (past, rows, at[:, 0])
        return _node("TensorScatter", *inputs, like=past, version=24, axis=-2, mode="linear")

    present_key, present_value = written(past_key, rotated(key)), written(past_value, heads(value))
    q = rotated(query)
    attended = _node("Attention", q, present_key, present_value, visible, like=q, version=24)
    return attended.transpose(1, 2).reshape(batch, rows, -1), present_key, present_value


def _node(name: str, *inputs: Tensor, like: Tensor, version: int, **attributes: Any) -> Tensor:
    """A node of ONNX whose output has the type and shape of `like`."""
    return ops.symbolic(
        name, inputs, attributes, dtype=like.dtype, shape=like.shape, version=version
    )
