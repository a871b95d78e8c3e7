"""A transformer to be trained: the official architecture and parameter names.

Written for speed on a CPU where the official classes are written for generation.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn

THETA, EPS = 10_000.0, 1e-6


@dataclasses.dataclass(frozen=True)
class Stack:
    """The size of one transformer."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int


class Norm(nn.Module):
    """RMS norm with a weight."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the last axis."""
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), EPS)


def rotary(positions: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute cosines and sines, each (positions, size)."""
    rate = 1 / THETA ** (torch.arange(0, size, 2).float() / size)
    angle = torch.arange(positions).float()[:, None] * rate
    both = torch.cat([angle, angle], 1)
    return both.cos(), both.sin()


def rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Apply rotary positions to (…, time, size)."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self, size: Stack) -> None:
        super().__init__()
        self.size = size
        hidden, inner = size.hidden, size.heads * size.head_dim
        narrow = size.kv_heads * size.head_dim
        self.q_proj = nn.Linear(hidden, inner, bias=False)
        self.k_proj = nn.Linear(hidden, narrow, bias=False)
        self.v_proj = nn.Linear(hidden, narrow, bias=False)
        self.o_proj = nn.Linear(inner, hidden, bias=False)
        self.q_norm, self.k_norm = Norm(size.head_dim), Norm(size.head_dim)

    def forward(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attend; also returns the attention (batch, heads, time, time)."""
        batch, time, _ = x.shape
        size = self.size
        q = self.q_norm(self.q_proj(x).view(batch, time, size.heads, size.head_dim))
        k = self.k_norm(self.k_proj(x).view(batch, time, size.kv_heads, size.head_dim))
        v = self.v_proj(x).view(batch, time, size.kv_heads, size.head_dim).transpose(1, 2)
        q = rotated(q.transpose(1, 2), cos, sin) * size.head_dim**-0.5
        k = rotated(k.transpose(1, 2), cos, sin)
        groups = size.heads // size.kv_heads
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        # Explicit: the CPU's flash kernel is slow backwards on sequences this short.
        attention = (q @ k.transpose(2, 3) + mask).softmax(-1)
        mixed = (attention @ v).transpose(1, 2).reshape(batch, time, -1)
        return self.o_proj(mixed), attention


class Mlp(nn.Module):
    """The gated feed-forward part."""

    def __init__(self, size: Stack) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(size.hidden, size.mlp, bias=False)
        self.up_proj = nn.Linear(size.hidden, size.mlp, bias=False)
        self.down_proj = nn.Linear(size.mlp, size.hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the feed-forward part."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One transformer layer."""

    def __init__(self, size: Stack) -> None:
        super().__init__()
        self.self_attn, self.mlp = Attention(size), Mlp(size)
        self.input_layernorm, self.post_attention_layernorm = Norm(size.hidden), Norm(size.hidden)

    def forward(
        self,
        x: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        mask: torch.Tensor,
        dropout: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the layer; also returns the attention."""
        mixed, attention = self.self_attn(self.input_layernorm(x), cos, sin, mask)
        x = x + F.dropout(mixed, dropout, self.training)
        x = x + F.dropout(self.mlp(self.post_attention_layernorm(x)), dropout, self.training)
        return x, attention


class Transformer(nn.Module):
    """Layers and the last norm."""

    cos: torch.Tensor
    sin: torch.Tensor
    causal: torch.Tensor

    def __init__(self, size: Stack) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(size) for _ in range(size.layers))
        self.norm = Norm(size.hidden)
        cos, sin = rotary(512, size.head_dim)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        causal = torch.full((512, 512), -1e4).triu(1)
        self.register_buffer("causal", causal, persistent=False)

    def forward(
        self, x: torch.Tensor, dropout: float = 0.0, watch: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run all layers: hidden states, and the attention of layer `watch`."""
        time = x.shape[1]
        cos, sin = self.cos[:time].to(x.dtype), self.sin[:time].to(x.dtype)
        mask = self.causal[:time, :time].to(x.dtype)
        watched = x
        for number, layer in enumerate(self.layers):
            x, attention = layer(x, cos, sin, mask, dropout)
            if number == watch:
                watched = attention
        return self.norm(x), watched
