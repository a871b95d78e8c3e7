"""The numbers of a codec, as values, as `config` has those of the networks that speak.

Source: Qwen3TTSTokenizerV2DecoderConfig in
    qwen_tts/core/tokenizer_12hz/configuration_qwen3_tts_tokenizer_v2.py; MimiConfig in transformers
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from qwen3_tts_export.checkpoint.section import NAMES, Count, Counts, Few, Positive, Stack, must_be

LAST_STRIDE = 2
"""Of the convolution after the codec encoder's transformer; the official class has no other."""


class CodecDecoderConfig(Stack, frozen=True, kw_only=True, rename=NAMES):
    """The codec decoder: codebooks, a windowed transformer, convolutions up to the samples."""

    codebook_size: Count
    codebook_dim: Count
    num_codebooks: Few = msgspec.field(name="num_quantizers")
    latent_dim: Count
    sliding_window: Count
    rms_norm_eps: Positive
    decoder_dim: Count
    upsample_rates: Counts
    upsampling_ratios: Counts

    @property
    def samples_per_frame(self) -> int:
        """Samples one frame of codes becomes: 1920 in the released codec."""
        return math.prod(self.upsample_rates) * math.prod(self.upsampling_ratios)


class CodecEncoderConfig(Stack, frozen=True, kw_only=True, rename=NAMES):
    """The codec encoder: convolutions down from the samples, a transformer, codebooks.

    The official files hold a MimiConfig. What turns out as codes and the rate of the samples stand
    beside it; the reader puts them in.
    """

    num_filters: Count
    num_residual_layers: Few
    kernel_size: Count
    last_kernel_size: Count
    residual_kernel_size: Count
    dilation_growth_rate: Count
    compress: Count
    upsampling_ratios: Counts
    """The strides of the convolutions, last one first."""
    norm_eps: Positive
    codebook_size: Count
    codebook_dim: Count
    quantizer_dim: Count = msgspec.field(name="vector_quantization_hidden_dimension")
    num_quantizers: Few
    num_semantic_quantizers: Count
    num_codebooks: Few = msgspec.field(name="encoder_valid_num_quantizers")
    """How many of the quantizers become codes, the semantic ones first."""
    sample_rate: Count = msgspec.field(name="input_sample_rate")
    frame_rate: float | None = None
    mimi_frame_rate: float | None = msgspec.field(name="_frame_rate", default=None)
    audio_channels: int = 1
    use_causal_conv: bool = True
    pad_mode: str = "constant"
    use_conv_shortcut: bool = False
    hidden_act: str = "gelu"
    activation: ClassVar[str] = "gelu"

    @property
    def samples_per_frame(self) -> int:
        """Samples that become one frame of codes: 1920 in the released codec."""
        return math.prod(self.upsampling_ratios) * LAST_STRIDE

    def __post_init__(self) -> None:
        super().__post_init__()
        must_be(self, "only one channel is implemented", audio_channels=1)
        must_be(self, "only causal convolutions are implemented", use_causal_conv=True)
        must_be(self, "only zeros before the first sample are implemented", pad_mode="constant")
        must_be(self, "convolved shortcuts are not implemented", use_conv_shortcut=False)
        must_be(self, "shared keys are not implemented", num_kv_heads=self.num_heads)
        must_be(
            self,
            "vector_quantization_hidden_dimension is no other",
            codebook_dim=self.quantizer_dim,
        )
        if not self.num_semantic_quantizers < self.num_codebooks <= self.num_quantizers:
            raise ValueError(
                f"num_quantizers is {self.num_quantizers} with {self.num_semantic_quantizers}"
                f" semantic ones, but {self.num_codebooks} are to be used"
            )
        rate = self.sample_rate / self.samples_per_frame
        for name, found in (("frame_rate", self.frame_rate), ("_frame_rate", self.mimi_frame_rate)):
            if found not in (None, rate):
                raise ValueError(
                    f"{name} is {found:g}, expected {rate:g}:"
                    f" a frame is {self.samples_per_frame} samples"
                )


@dataclass(frozen=True)
class CodecConfig:
    """The codec's own config.json: all of a standalone codec repository."""

    decoder: CodecDecoderConfig
    sample_rate: int
    encoder: CodecEncoderConfig | None
    """None where the checkpoint describes no encoder."""
