"""The codec decoder, stateful: frames of codes in, 1920 samples a frame out, whatever the chunking.

Every operation looks only at the past, so what a new frame needs from earlier ones is finite and
known: the last inputs of each convolution and the last `window - 1` keys and values of each
attention layer. They come in as `state` and go out again. Zeros are the state of an utterance
that has not begun.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qwen3_tts_export.checkpoint.codec_config import CodecDecoderConfig
from qwen3_tts_export.modules.attention import rotary_angles, rotated
from qwen3_tts_export.modules.layers import Linear, RMSNorm
from qwen3_tts_export.modules.narrowing import cast, wide
from qwen3_tts_export.modules.snake import Snake


class State:
    """What is carried from chunk to chunk, in the order in which the network reads it."""

    def __init__(self, past: list[Tensor]) -> None:
        self._past: Iterator[Tensor] = iter(past)
        self.present: list[Tensor] = []

    def extend(self, x: Tensor, axis: int) -> Tensor:
        """Put the next past tensor before x along `axis`, and keep as many of the last entries."""
        past = next(self._past)
        joined = torch.cat((past, x), dim=axis)
        kept = past.shape[axis]
        self.present.append(joined.narrow(axis, joined.shape[axis] - kept, kept))
        return joined


class CausalConv(nn.Conv1d):
    """A convolution that sees (kernel - 1) * dilation inputs back and none ahead.

    Source: Qwen3TTSTokenizerV2CausalConvNet in
        qwen_tts/core/tokenizer_12hz/modeling_qwen3_tts_tokenizer_v2.py.
    """

    def forward(self, x: Tensor, state: State) -> Tensor:  # type: ignore[override]
        """(batch, in, time) -> (batch, out, time)."""
        x = cast(x, self.weight)
        if self.kernel_size[0] > 1:
            x = state.extend(x, axis=2)
        return super().forward(x)


class CausalUpsample(CausalConv):
    """A transposed convolution, each of whose inputs reaches as many outputs as `reach` strides.

    It is written as a convolution that makes all outputs of a step at once, side by side as
    channels: runtimes have faster kernels for that, OpenVINO no other in bfloat16.

    Source: Qwen3TTSTokenizerV2CausalTransConvNet, same file.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, reach: int) -> None:
        super().__init__(inputs, outputs * stride, reach)
        self.steps = stride

    def forward(self, x: Tensor, state: State) -> Tensor:  # type: ignore[override]
        """(batch, in, time) -> (batch, out, stride * time)."""
        steps = torch.unflatten(super().forward(x, state), 1, (-1, self.steps))
        return steps.transpose(2, 3).flatten(2)


class WindowedLayer(nn.Module):
    """Attention over the last `window` positions, then the gated MLP, both scaled when added.

    Source: Qwen3TTSTokenizerV2DecoderTransformerLayer, same file.
    """

    def __init__(self, config: CodecDecoderConfig) -> None:
        super().__init__()
        self.heads, self.head_dim = config.num_heads, config.head_dim
        width = config.num_heads * config.head_dim
        self.input_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.qkv = Linear(config.hidden_size, 3 * width)
        self.output = Linear(width, config.hidden_size)
        self.attention_scale = nn.Parameter(torch.empty(config.hidden_size))
        self.mlp_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.gate_up = Linear(config.hidden_size, 2 * config.intermediate_size)
        self.down = Linear(config.intermediate_size, config.hidden_size)
        self.mlp_scale = nn.Parameter(torch.empty(config.hidden_size))

    def forward(
        self, x: Tensor, update: Tensor | None, angles: Tensor, hidden: Tensor, state: State
    ) -> tuple[Tensor, Tensor]:
        """One layer.

        Args:
            x: (batch, time, hidden), the residual stream.
            update: What is yet to be added to it, likewise.
            angles: (batch, time, head_dim / 2).
            hidden: bool, what may not be seen, as `_transformer` of the decoder makes it.
            state: What is carried.

        Returns:
            The stream and what is yet to be added to it.
        """
        x, normed = self.input_norm.after(x, update)
        qkv = self.qkv(normed).unflatten(-1, (3, self.heads, self.head_dim))
        both, value = torch.split(qkv.permute(2, 0, 3, 1, 4), [2, 1])
        value = value.squeeze(0)
        query, key = cast(rotated(wide(both), angles), value).unbind(0)
        keys, values = state.extend(key, axis=2), state.extend(value, axis=2)
        scores = wide(query @ keys.transpose(2, 3)) * self.head_dim**-0.5
        weights = cast(scores.masked_fill(hidden, float("-inf")).softmax(dim=-1), values)
        attended = (weights @ values).transpose(1, 2).flatten(2)
        x, normed = self.mlp_norm.after(x, self.output(attended) * self.attention_scale)
        gate, up = self.gate_up(normed).chunk(2, dim=-1)
        return x, self.down(F.silu(gate) * up) * self.mlp_scale


class ConvNeXt(nn.Module):
    """A wide depthwise convolution and a pointwise MLP around a residual.

    Source: Qwen3TTSTokenizerV2ConvNeXtBlock, same file.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = CausalConv(channels, channels, 7, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen = Linear(channels, 4 * channels, bias=True)
        self.narrow = Linear(4 * channels, channels, bias=True)
        self.scale = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor, state: State) -> Tensor:
        """(batch, channels, time), shape kept."""
        y = self.norm(cast(self.depthwise(x, state).transpose(1, 2), self.norm.weight))
        y = self.narrow(F.gelu(self.widen(y))) * self.scale
        return x + y.transpose(1, 2)


class ResidualUnit(nn.Module):
    """Snake, dilated convolution, snake, pointwise convolution, around a residual.

    Source: Qwen3TTSTokenizerV2DecoderDecoderResidualUnit, same file.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.snake1 = Snake(channels)
        self.conv1 = CausalConv(channels, channels, 7, dilation=dilation)
        self.snake2 = Snake(channels)
        self.conv2 = CausalConv(channels, channels, 1)

    def forward(self, x: Tensor, state: State) -> Tensor:
        """(batch, channels, time), shape kept."""
        return x + self.conv2(self.snake2(self.conv1(self.snake1(x), state)), state)


class Block(nn.Module):
    """One step up in rate and down in width, then three residual units.

    Source: Qwen3TTSTokenizerV2DecoderDecoderBlock, same file.
    """

    def __init__(self, channels: int, rate: int) -> None:
        super().__init__()
        self.snake = Snake(channels)
        self.up = CausalUpsample(channels, channels // 2, rate, reach=2)
        self.units = nn.ModuleList(ResidualUnit(channels // 2, d) for d in (1, 3, 9))

    def forward(self, x: Tensor, state: State) -> Tensor:
        """(batch, channels, time) -> (batch, channels / 2, rate * time)."""
        x = self.up(self.snake(x), state)
        for unit in self.units:
            x = unit(x, state)
        return x


class CodecDecoder(nn.Module):
    """Codes to samples.

    Source: Qwen3TTSTokenizerV2Decoder.forward, same file.
    """

    def __init__(self, config: CodecDecoderConfig) -> None:
        super().__init__()
        self.config = config
        book_dim = config.codebook_dim // 2
        self.books = nn.Embedding(config.num_codebooks * config.codebook_size, book_dim)
        self.semantic = Linear(book_dim, config.codebook_dim)
        self.acoustic = Linear(book_dim, config.codebook_dim)
        self.pre_conv = CausalConv(config.codebook_dim, config.latent_dim, 3)
        self.input = Linear(config.latent_dim, config.hidden_size, bias=True)
        self.layers = nn.ModuleList(WindowedLayer(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.output = Linear(config.hidden_size, config.latent_dim, bias=True)
        latent, width = config.latent_dim, config.decoder_dim
        self.upsamples = nn.ModuleList(
            CausalUpsample(latent, latent, ratio, reach=1) for ratio in config.upsampling_ratios
        )
        self.convnexts = nn.ModuleList(ConvNeXt(latent) for _ in config.upsampling_ratios)
        self.first = CausalConv(latent, width, 7)
        self.blocks = nn.ModuleList(
            Block(width >> i, rate) for i, rate in enumerate(config.upsample_rates)
        )
        self.snake = Snake(width >> len(config.upsample_rates))
        self.last = CausalConv(width >> len(config.upsample_rates), 1, 7)

    def forward(
        self, codes: Tensor, position: Tensor, past: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Decode the next frames of every batch row.

        Args:
            codes: int64 (batch, frames, codebooks).
            position: int64 (batch,), frames decoded before.
            past: the carried state, as `state_shapes` lists it.

        Returns:
            Samples float32 (batch, samples_per_frame * frames) in [-1, 1], and the next state.
        """
        state = State(past)
        first = torch.arange(self.config.num_codebooks) * self.config.codebook_size
        vectors = self.books(codes + first)
        x = self.semantic(vectors[:, :, 0]) + self.acoustic(vectors[:, :, 1:].sum(dim=2))
        x = self.pre_conv(x.transpose(1, 2), state).transpose(1, 2)
        x = self._transformer(x, position, state).transpose(1, 2)
        for upsample, convnext in zip(self.upsamples, self.convnexts, strict=True):
            x = convnext(upsample(x, state), state)
        x = self.first(x, state)
        for block in self.blocks:
            x = block(x, state)
        x = self.last(self.snake(x), state)
        return wide(x.squeeze(1)).clamp(-1, 1), state.present

    def _transformer(self, x: Tensor, position: Tensor, state: State) -> Tensor:
        frames, before = x.shape[1], self.config.sliding_window - 1
        at = position[:, None] + torch.arange(frames)
        angles = rotary_angles(at, self.config.rope_theta, self.config.head_dim)
        key_at = position[:, None] + torch.arange(-before, frames)
        distance = at[:, :, None] - key_at[:, None, :]
        hidden = (distance < 0) | (distance > before) | (key_at < 0)[:, None, :]
        x, update = cast(self.input(x), self.norm.weight), None
        for layer in self.layers:
            x, update = layer(x, update, angles, hidden[:, None], state)
        return self.output(self.norm.after(x, update)[1])


def state_shapes(config: CodecDecoderConfig) -> dict[str, tuple[int, ...]]:
    """The carried tensors, without their batch axis, by name and in the network's order."""
    keys = (config.num_heads, config.sliding_window - 1, config.head_dim)
    shapes: dict[str, tuple[int, ...]] = {"pre_conv": (config.codebook_dim, 2)}
    for i in range(config.num_layers):
        shapes |= {f"layers.{i}.key": keys, f"layers.{i}.value": keys}
    for i in range(len(config.upsampling_ratios)):
        shapes[f"convnexts.{i}"] = (config.latent_dim, 6)
    shapes["first"] = (config.latent_dim, 6)
    for i in range(len(config.upsample_rates)):
        shapes[f"blocks.{i}.up"] = (config.decoder_dim >> i, 1)
        for unit, dilation in enumerate((1, 3, 9)):
            shapes[f"blocks.{i}.units.{unit}"] = (config.decoder_dim >> (i + 1), 6 * dilation)
    shapes["last"] = (config.decoder_dim >> len(config.upsample_rates), 6)
    return shapes
