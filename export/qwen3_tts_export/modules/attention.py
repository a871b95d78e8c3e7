"""Rotary attention over a KV cache of fixed capacity: each graph flavour has its own way with it.

In eager torch it is written out below, and that text is its definition. `flavours` says what it
becomes in a graph.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from qwen3_tts_export.modules.narrowing import cast, wide


def in_full(
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
    """Normalise query and key, rotate them, write key and value, attend causally over the cache.

    Args:
        qkv: (batch, rows, (heads + 2 * kv_heads) * head_dim): query, key and value side by side.
        q_norm: (head_dim,), scales of the norm over each head of the query. Its type is the one
            that query and key are normalised and rotated in.
        k_norm: (head_dim,), the key's.
        past_key: (batch, kv_heads, capacity, head_dim), rotated keys, in the type that the rest
            is computed in, but for the softmax, which is in float32.
        past_value: (batch, kv_heads, capacity, head_dim).
        last: whole numbers (batch,), the position of each batch row's last row here.
        cos: (max_positions, head_dim / 2).
        sin: (max_positions, head_dim / 2).
        eps: Of the norms.
        total: int32 (1,), how much of the cache is in use in the fullest batch row, this call's
            rows included. It changes no result: a kernel may pick its launches by it.

    Returns:
        The attended values (batch, rows, heads * head_dim) and the two updated caches. Row r of
        batch row b sits at last[b] - rows + 1 + r and sees the cache up to and including itself.

    Source: Qwen3TTSTalkerAttention.forward and apply_multimodal_rotary_pos_emb in
        qwen_tts/core/models/modeling_qwen3_tts.py. The three rotary axes always carry the same
        position there, which makes it plain split-half rotary embedding.
    """
    batch, rows, _ = qkv.shape
    kv_heads, capacity, head_dim = past_key.shape[1:]
    at = last[:, None] + torch.arange(1 - rows, 1, device=last.device)
    query, key, value = heads_of(qkv, past_key)

    def turned(x: Tensor, norm: Tensor) -> Tensor:
        x = F.rms_norm(cast(x, norm), norm.shape, norm, eps).transpose(1, 2)
        c, s = F.embedding(at, cos)[:, None], F.embedding(at, sin)[:, None]
        low, high = x.chunk(2, dim=-1)
        return cast(torch.cat((low * c - high * s, high * c + low * s), dim=-1), past_key)

    q, k, v = turned(query, q_norm), turned(key, k_norm), value.transpose(1, 2)
    slot = at[:, None, :, None].expand(batch, kv_heads, rows, head_dim)
    present_key = past_key.scatter(2, slot, k)
    present_value = past_value.scatter(2, slot, v)

    # Query heads of one group stand one below the other, so that keys and values are not repeated.
    grouped = q.reshape(batch, kv_heads, -1, head_dim)
    scores = (grouped @ present_key.transpose(2, 3)) * head_dim**-0.5
    scores = scores.reshape(batch, -1, rows, capacity)
    visible = torch.arange(capacity, device=at.device) <= at[:, None, :, None]
    weights = cast(wide(scores).masked_fill(~visible, float("-inf")).softmax(dim=-1), q)
    attended = weights.reshape(batch, kv_heads, -1, capacity) @ present_value
    attended = attended.reshape(batch, -1, rows, head_dim).transpose(1, 2)
    return attended.reshape(batch, rows, -1), present_key, present_value


def heads_of(qkv: Tensor, past: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What lies side by side (batch, rows, …) as query, key and value (batch, rows, n, head_dim).

    Args:
        qkv: As `in_full` takes it.
        past: (batch, kv_heads, capacity, head_dim), which says how many heads there are.
    """
    kv_heads, head_dim = past.shape[1], past.shape[3]
    heads = qkv.shape[2] // head_dim - 2 * kv_heads
    by_head = qkv.reshape(*qkv.shape[:2], heads + 2 * kv_heads, head_dim)
    query, key, value = torch.split(by_head, [heads, kv_heads, kv_heads], dim=2)
    return query, key, value


attention = torch.library.custom_op("qwen3_tts::attention", in_full, mutates_args=())


@attention.register_fake
def _shapes(
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
    batch, rows, width = qkv.shape
    kv_width = past_key.shape[1] * past_key.shape[3]
    attended = past_key.new_empty(batch, rows, width - 2 * kv_width)
    return attended, torch.empty_like(past_key), torch.empty_like(past_value)


def rotary_angles(position: Tensor, theta: float, head_dim: int) -> Tensor:
    """Angles of plain split-half rotary embedding.

    Args:
        position: integer tensor of any shape.
        theta: the base of the frequencies.
        head_dim: even.

    Returns:
        float32, position's shape and then head_dim / 2.

    Source: Qwen3TTSTalkerRotaryEmbedding in qwen_tts/core/models/modeling_qwen3_tts.py and
        Qwen3TTSTokenizerV2DecoderRotatoryEmbedding in the codec's file.
    """
    exponent = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
    # The power in float64: numpy, which folds it in a graph, has another float32 by processor.
    frequency = 1.0 / (theta ** exponent.double()).float()
    return position[..., None].float() * frequency


def rotated(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate heads by the angles of their positions.

    Args:
        x: (batch, heads, time, head_dim).
        angles: (time, head_dim / 2), or with the batch before it; from `rotary_angles`.

    Returns:
        Of x's shape.

    Source: apply_rotary_pos_emb in the codec's file and in
        transformers/models/mimi/modeling_mimi.py.
    """
    cos, sin = angles.cos().unsqueeze(-3), angles.sin().unsqueeze(-3)
    low, high = x.chunk(2, dim=-1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1)
