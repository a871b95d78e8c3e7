"""The codec encoder: samples at 24 kHz in, one frame of codes for every 1920 of them out.

It is causal from end to end, but carries no state: a reference is encoded whole, and its
transformer looks back to the first sample. Each strided convolution completes its last window by
itself, so any number of samples will do, and the last frame may hear fewer than 1920.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qwen3_tts_export.checkpoint.codec_config import LAST_STRIDE, CodecEncoderConfig
from qwen3_tts_export.modules.attention import rotary_angles, rotated
from qwen3_tts_export.modules.layers import Linear


class CausalConv(nn.Conv1d):
    """A convolution over windows that begin before the first input and end beyond the last.

    With what is put before the first input, output t ends with input stride * t + stride - 1.
    Behind the last one comes a whole stride less one: enough for the window that it begins, and a
    window that is not complete is dropped. The official class counts how much that window lacks,
    which gives the same outputs.

    Source: MimiConv1d in transformers/models/mimi/modeling_mimi.py.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = True,
        mode: str = "constant",
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, dilation=dilation, bias=bias)
        self.around = ((kernel - 1) * dilation + 1 - stride, stride - 1)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, time) -> (batch, out, ceil(time / stride))."""
        return super().forward(F.pad(x, self.around, mode=self.mode))


class ResidualUnit(nn.Module):
    """Two convolutions around a residual, the first one dilated.

    Source: MimiResnetBlock, same file.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, compress: int) -> None:
        super().__init__()
        inner = channels // compress
        self.conv1 = CausalConv(channels, inner, kernel, dilation=dilation)
        self.conv2 = CausalConv(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, time), shape kept."""
        return x + self.conv2(F.elu(self.conv1(F.elu(x))))


class Block(nn.Module):
    """Residual units, then one step down in rate and up in width.

    Source: MimiEncoder, same file.
    """

    def __init__(self, config: CodecEncoderConfig, channels: int, ratio: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(
            ResidualUnit(
                channels,
                config.residual_kernel_size,
                config.dilation_growth_rate**i,
                config.compress,
            )
            for i in range(config.num_residual_layers)
        )
        self.down = CausalConv(channels, 2 * channels, 2 * ratio, stride=ratio)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, time) -> (batch, 2 * channels, ceil(time / ratio))."""
        for unit in self.units:
            x = unit(x)
        return self.down(F.elu(x))


class Layer(nn.Module):
    """Attention over everything before, then an MLP, both scaled when added.

    Source: MimiTransformerLayer, same file. Its configuration names a sliding window, which the
        mask that it is given does not have.
    """

    def __init__(self, config: CodecEncoderConfig) -> None:
        super().__init__()
        hidden, width = config.hidden_size, config.num_heads * config.head_dim
        self.heads, self.head_dim = config.num_heads, config.head_dim
        self.input_norm = nn.LayerNorm(hidden, eps=config.norm_eps)
        self.qkv = Linear(hidden, 3 * width)
        self.output = Linear(width, hidden)
        self.attention_scale = nn.Parameter(torch.empty(hidden))
        self.mlp_norm = nn.LayerNorm(hidden, eps=config.norm_eps)
        self.up = Linear(hidden, config.intermediate_size)
        self.down = Linear(config.intermediate_size, hidden)
        self.mlp_scale = nn.Parameter(torch.empty(hidden))

    def forward(self, x: Tensor, angles: Tensor, later: Tensor) -> Tensor:
        """Attend to what came before, then go through the MLP.

        Args:
            x: (batch, time, hidden).
            angles: (time, head_dim / 2), of the rotary embedding.
            later: bool (time, time), true where a column comes after its row.
        """
        qkv = self.qkv(self.input_norm(x)).unflatten(-1, (3, self.heads, self.head_dim))
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        query, key = rotated(query, angles), rotated(key, angles)
        scores = (query @ key.transpose(2, 3)) * self.head_dim**-0.5
        weights = scores.masked_fill(later, float("-inf")).softmax(dim=-1)
        attended = (weights @ value).transpose(1, 2).flatten(2)
        x = x + self.output(attended) * self.attention_scale
        return x + self.down(F.gelu(self.up(self.mlp_norm(x)))) * self.mlp_scale


class Codebook(nn.Module):
    """The nearest entry: the one at the least squared distance, in float32.

    The square of the vector itself is the same for every entry and is left out.

    Source: MimiEuclideanCodebook.quantize, same file.
    """

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size, dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, dim) -> codes int64 (batch, frames), and what they leave of x."""
        distance = self.weight.square().sum(dim=1) - 2 * (x @ self.weight.T)
        codes = distance.argmin(dim=-1)
        return codes, x - F.embedding(codes, self.weight)


class Quantizer(nn.Module):
    """Codes of vectors, one codebook after another, each coding what those before left over.

    Source: MimiResidualVectorQuantizer.encode, same file.
    """

    def __init__(self, config: CodecEncoderConfig, books: int) -> None:
        super().__init__()
        self.input: Linear | None = None
        if is_projected(config):
            self.input = Linear(config.hidden_size, config.quantizer_dim)
        self.books = nn.ModuleList(
            Codebook(config.codebook_size, config.codebook_dim) for _ in range(books)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, hidden) -> int64 (batch, frames, books)."""
        rest = x if self.input is None else self.input(x)
        said = []
        for book in self.books:
            codes, rest = book(rest)
            said.append(codes)
        return torch.stack(said, dim=-1)


def is_projected(config: CodecEncoderConfig) -> bool:
    """Whether the checkpoint has projections: only where the two widths differ."""
    return config.quantizer_dim != config.hidden_size


class CodecEncoder(nn.Module):
    """Samples to codes.

    Source: MimiModel._encode_frame and MimiSplitResidualVectorQuantizer.encode, same file;
        Qwen3TTSTokenizerV2Model.encode in
        qwen_tts/core/tokenizer_12hz/modeling_qwen3_tts_tokenizer_v2.py.
    """

    def __init__(self, config: CodecEncoderConfig) -> None:
        super().__init__()
        self.config = config
        width, hidden = config.num_filters, config.hidden_size
        ratios = config.upsampling_ratios[::-1]
        semantic = config.num_semantic_quantizers
        self.first = CausalConv(1, width, config.kernel_size)
        self.blocks = nn.ModuleList(
            Block(config, width << i, ratio) for i, ratio in enumerate(ratios)
        )
        self.last = CausalConv(width << len(ratios), hidden, config.last_kernel_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.downsample = CausalConv(
            hidden, hidden, 2 * LAST_STRIDE, stride=LAST_STRIDE, bias=False, mode="replicate"
        )
        self.semantic = Quantizer(config, semantic)
        self.acoustic = Quantizer(config, config.num_codebooks - semantic)

    def forward(self, samples: Tensor) -> Tensor:
        """Encode whole references, all of one length.

        Args:
            samples: float32 (batch, samples), at least one.

        Returns:
            int64 (batch, ceil(samples / samples_per_frame), codebooks), semantic codebooks first.
        """
        x = self.first(samples[:, None])
        for block in self.blocks:
            x = block(x)
        x = self.last(F.elu(x))
        x = self._transformer(x.transpose(1, 2)).transpose(1, 2)
        x = self.downsample(x).transpose(1, 2)
        return torch.cat((self.semantic(x), self.acoustic(x)), dim=-1)

    def _transformer(self, x: Tensor) -> Tensor:
        at = torch.arange(x.shape[1])
        angles = rotary_angles(at, self.config.rope_theta, self.config.head_dim)
        later = at[None, :] > at[:, None]
        for layer in self.layers:
            x = layer(x, angles, later)
        return x
