"""The speaker encoder, an ECAPA-TDNN: mel frames of any number in, one vector of the voice out.

The vector goes into the prompt as it is; it has no unit length. Every convolution mirrors its input
at both ends, so it needs a few frames: 5 in the released encoders.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qwen3_tts_export.checkpoint.config import SpeakerEncoderConfig
from qwen3_tts_export.modules.layers import Weights, copied


class Conv(nn.Conv1d):
    """A convolution that keeps the length, its input mirrored at both ends."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__(
            inputs,
            outputs,
            kernel,
            dilation=dilation,
            padding="same",
            padding_mode="reflect" if kernel > 1 else "zeros",  # a kernel of one has no ends
        )


class TimeDelay(nn.Module):
    """A convolution and what is positive of it.

    Source: TimeDelayNetBlock in qwen_tts/core/models/modeling_qwen3_tts.py.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = Conv(inputs, outputs, kernel, dilation)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, frames) -> (batch, out, frames)."""
        return self.conv(x).relu()


class Block(nn.Module):
    """Convolutions over slices of the channels, each hearing the slice before, then a gate.

    Source: SqueezeExcitationRes2NetBlock, Res2NetBlock and SqueezeExcitationBlock, same file.
    """

    def __init__(self, config: SpeakerEncoderConfig, index: int) -> None:
        super().__init__()
        channels, self.slices = config.channels[index], config.res2net_scale
        kernel, dilation = config.kernel_sizes[index], config.dilations[index]
        width = channels // self.slices
        self.before = TimeDelay(channels, channels)
        self.convs = nn.ModuleList(
            TimeDelay(width, width, kernel, dilation) for _ in range(self.slices - 1)
        )
        self.after = TimeDelay(channels, channels)
        self.squeeze = Conv(channels, config.squeeze_channels)
        self.excite = Conv(config.squeeze_channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames), shape kept."""
        first, *others = self.before(x).chunk(self.slices, dim=1)
        slices = [first]
        for conv, part in zip(self.convs, others, strict=True):
            slices.append(conv(part if len(slices) == 1 else part + slices[-1]))
        y = self.after(torch.cat(slices, dim=1))
        gate = self.excite(self.squeeze(y.mean(dim=2, keepdim=True)).relu()).sigmoid()
        return x + y * gate


class Pooling(nn.Module):
    """Mean and deviation over time, the frames weighted by an attention a channel.

    Source: AttentiveStatisticsPooling, same file. Its mask is all ones: a batch has one length.
    """

    def __init__(self, channels: int, attention_channels: int) -> None:
        super().__init__()
        self.attend = TimeDelay(3 * channels, attention_channels)
        self.score = Conv(attention_channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) -> (batch, 2 * channels, 1)."""
        mean, deviation = _statistics(x, torch.ones_like(x[:1, :1]) / x.shape[2])
        context = torch.cat((x, mean.expand_as(x), deviation.expand_as(x)), dim=1)
        weights = self.score(self.attend(context).tanh()).softmax(dim=2)
        return torch.cat(_statistics(x, weights), dim=1)


def _statistics(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    mean = (weights * x).sum(dim=2, keepdim=True)
    variance = (weights * (x - mean).square()).sum(dim=2, keepdim=True)
    return mean, variance.clamp(min=1e-12).sqrt()


class SpeakerEncoder(nn.Module):
    """Mel frames to a speaker vector.

    Source: Qwen3TTSSpeakerEncoder, same file.
    """

    def __init__(self, config: SpeakerEncoderConfig) -> None:
        super().__init__()
        channels, joined = config.channels[0], config.channels[-1]
        self.first = TimeDelay(
            config.mel_dim, channels, config.kernel_sizes[0], config.dilations[0]
        )
        self.blocks = nn.ModuleList(
            Block(config, index) for index in range(1, len(config.channels) - 1)
        )
        self.join = TimeDelay(joined, joined, config.kernel_sizes[-1], config.dilations[-1])
        self.pooling = Pooling(joined, config.attention_channels)
        self.last = Conv(2 * joined, config.vector_size)

    def forward(self, mel: Tensor) -> Tensor:
        """Encode references, all of one length.

        Args:
            mel: float32 (batch, mel_frames, mel_dim), natural logarithms.

        Returns:
            float32 (batch, vector_size).
        """
        x = self.first(mel.transpose(1, 2))
        heard = []
        for block in self.blocks:
            x = block(x)
            heard.append(x)
        x = self.join(torch.cat(heard, dim=1))
        return self.last(self.pooling(x)).squeeze(2)


def speaker_encoder_weights(tensors: Mapping[str, Tensor], config: SpeakerEncoderConfig) -> Weights:
    """What `SpeakerEncoder` is made of, from the official `speaker_encoder.*` tensors."""
    weights: Weights = {}

    def conv(ours: str, theirs: str) -> None:
        for part in ("weight", "bias"):
            weights[f"{ours}.{part}"] = copied(tensors, f"speaker_encoder.{theirs}.{part}")

    conv("first.conv", "blocks.0.conv")
    for i in range(len(config.channels) - 2):
        ours, theirs = f"blocks.{i}", f"blocks.{i + 1}"
        conv(f"{ours}.before.conv", f"{theirs}.tdnn1.conv")
        for part in range(config.res2net_scale - 1):
            conv(f"{ours}.convs.{part}.conv", f"{theirs}.res2net_block.blocks.{part}.conv")
        conv(f"{ours}.after.conv", f"{theirs}.tdnn2.conv")
        conv(f"{ours}.squeeze", f"{theirs}.se_block.conv1")
        conv(f"{ours}.excite", f"{theirs}.se_block.conv2")
    conv("join.conv", "mfa.conv")
    conv("pooling.attend.conv", "asp.tdnn.conv")
    conv("pooling.score", "asp.conv")
    conv("last", "fc")
    return weights
