"""The transformer block that the talker and the code predictor share.

Weights lie as the graphs want them, (in, out), with query, key and value fused in one matrix and
gate and up in another. `layer_weights` says which official tensors each is made of.

What has weights computes in their type: it casts what comes in and hands out what it made. So the
types of the weights, which `precision.py` gives, are the types of a graph. The residual stream has
the type of the norms.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qwen3_tts_export.checkpoint.config import TransformerConfig
from qwen3_tts_export.modules.attention import attention, rotary_angles
from qwen3_tts_export.modules.narrowing import cast

# (key, value) of one layer, each (batch, kv_heads, capacity, head_dim)
Cache = list[tuple[Tensor, Tensor]]
# our parameter name -> how to make it from the checkpoint, float32, only when it is wanted
Weights = dict[str, Callable[[], Tensor]]


class Linear(nn.Module):
    """y = x · weight (+ bias), with the weight stored (in, out): a MatMul with a constant."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        y = cast(x, self.weight) @ self.weight
        return y if self.bias is None else y + self.bias


def in_two(x: Tensor, update: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """A residual stream, updated, and its norm: one operation where a runtime has one.

    Args:
        x: (..., size), in the type of the weight; the sum of squares is float32 in any type.
        update: Likewise, to be added.
        weight: (size,).
        eps: Of the norm.

    Returns:
        The sum and its norm, both of x's shape and type.
    """
    total = x + update
    return total, F.rms_norm(total, weight.shape, weight, eps)


add_norm = torch.library.custom_op("qwen3_tts::add_norm", in_two, mutates_args=())


@add_norm.register_fake
def _like(x: Tensor, update: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(x)


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last axis.

    Source: Qwen3TTSRMSNorm in qwen_tts/core/models/modeling_qwen3_tts.py.
    """

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., size) -> (..., size)."""
        return F.rms_norm(cast(x, self.weight), self.weight.shape, self.weight, self.eps)

    def after(self, x: Tensor, update: Tensor | None) -> tuple[Tensor, Tensor]:
        """(..., size), and what is yet to be added to it -> the sum, and its norm."""
        if update is None:
            return x, self(x)
        return add_norm(x, cast(update, x), self.weight, self.eps)


class Layer(nn.Module):
    """Attention, then the gated MLP, each on a normalised residual stream.

    What a half makes is added by the norm of the next.

    Source: Qwen3TTSTalkerDecoderLayer and Qwen3TTSDecoderLayer in
        qwen_tts/core/models/modeling_qwen3_tts.py.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.num_heads * config.head_dim
        kv_width = config.num_kv_heads * config.head_dim
        self.input_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.qkv = Linear(config.hidden_size, width + 2 * kv_width)
        self.q_norm = RMSNorm(config.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.rms_norm_eps)
        self.output = Linear(width, config.hidden_size)
        self.mlp_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.gate_up = Linear(config.hidden_size, 2 * config.intermediate_size)
        self.down = Linear(config.intermediate_size, config.hidden_size)

    def forward(
        self,
        x: Tensor,
        update: Tensor | None,
        past: tuple[Tensor, Tensor],
        last: Tensor,
        cos: Tensor,
        sin: Tensor,
        total: Tensor | None,
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """One layer.

        Args:
            x: (batch, rows, hidden), the residual stream.
            update: What is yet to be added to it, likewise.
            past: key and value, (batch, kv_heads, capacity, head_dim).
            last: int64 (batch,), the position of the last row.
            cos: (max_positions, head_dim / 2).
            sin: Likewise.
            total: As `attention` takes it.

        Returns:
            The stream, what is yet to be added to it, and the new cache.
        """
        x, normed = self.input_norm.after(x, update)
        attended, present_key, present_value = attention(
            self.qkv(normed),
            self.q_norm.weight,
            self.k_norm.weight,
            *past,
            last,
            cos,
            sin,
            self.q_norm.eps,
            total,
        )
        x, normed = self.mlp_norm.after(x, self.output(attended))
        gate, up = cast(self.gate_up(normed), self.down.weight).chunk(2, dim=-1)
        return x, self.down(F.silu(gate) * up), (present_key, present_value)


class Trunk(nn.Module):
    """A stack of layers and the final norm: embeddings in, hidden states out.

    Attributes:
        called_often: It is traced once and not in every call, see `graphs.calls`.
    """

    called_often: bool = False

    def __init__(self, config: TransformerConfig, max_positions: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.cos = nn.Parameter(torch.empty(max_positions, config.head_dim // 2))
        self.sin = nn.Parameter(torch.empty(max_positions, config.head_dim // 2))

    @property
    def dtype(self) -> torch.dtype:
        """Of the KV cache."""
        first = self.layers[0]
        assert isinstance(first, Layer)
        return first.qkv.weight.dtype

    def forward(
        self, x: Tensor, last: Tensor, past: Cache, total: Tensor | None = None
    ) -> tuple[Tensor, Cache]:
        """Rows (batch, rows, hidden) that end at position `last` -> the same, new caches.

        `total` is as `attention` takes it.

        The hidden states that come out are normalised, and of the norm's type.
        """
        present: Cache = []
        x, update = cast(x, self.norm.weight), None
        for layer, layer_past in zip(self.layers, past, strict=True):
            x, update, layer_present = layer(x, update, layer_past, last, self.cos, self.sin, total)
            present.append(layer_present)
        return self.norm.after(x, update)[1], present


def copied(tensors: Mapping[str, Tensor], name: str) -> Callable[[], Tensor]:
    """The official tensor as it is, in float32."""
    return lambda: tensors[name].float()


def transposed(tensors: Mapping[str, Tensor], *names: str) -> Callable[[], Tensor]:
    """Official (out, in) matrices, stacked along out, as one (in, out) matrix in float32."""
    return lambda: torch.cat([tensors[name] for name in names]).float().T.contiguous()


def layer_weights(tensors: Mapping[str, Tensor], theirs: str, ours: str) -> Weights:
    """What one `Layer` is made of: official names under `theirs`, ours under `ours`."""

    def fused(*names: str) -> Callable[[], Tensor]:
        return transposed(tensors, *(f"{theirs}.{name}.weight" for name in names))

    def norm(name: str) -> Callable[[], Tensor]:
        return copied(tensors, f"{theirs}.{name}.weight")

    made = {
        "input_norm": norm("input_layernorm"),
        "qkv": fused("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "q_norm": norm("self_attn.q_norm"),
        "k_norm": norm("self_attn.k_norm"),
        "output": fused("self_attn.o_proj"),
        "mlp_norm": norm("post_attention_layernorm"),
        "gate_up": fused("mlp.gate_proj", "mlp.up_proj"),
        "down": fused("mlp.down_proj"),
    }
    return {f"{ours}.{name}.weight": make for name, make in made.items()}


def trunk_weights(
    tensors: Mapping[str, Tensor], theirs: str, config: TransformerConfig, max_positions: int
) -> Weights:
    """What a `Trunk` called `trunk` is made of: layers, final norm and rotary tables."""

    def angles() -> Tensor:
        return rotary_angles(torch.arange(max_positions), config.rope_theta, config.head_dim)

    weights: Weights = {
        "trunk.norm.weight": copied(tensors, f"{theirs}.norm.weight"),
        "trunk.cos": lambda: angles().double().cos().float(),
        "trunk.sin": lambda: angles().double().sin().float(),
    }
    for i in range(config.num_layers):
        weights |= layer_weights(tensors, f"{theirs}.layers.{i}", f"trunk.layers.{i}")
    return weights
