"""The numbers of a checkpoint, as values; what is not implemented here is refused.

Fields are called as in this project, and `rename` says what the official files call them. Keys that
no field has are ignored. What has no default must be in the file, because the defaults of the
official config classes are not the released models (other depths, other ids). The exceptions are
the speaker encoder, of which released files say two numbers, and what fine-tunes leave out.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from qwen3_tts_edge.bundle.names import ModelType
from qwen3_tts_edge.errors import quoted
from qwen3_tts_export.checkpoint.generation import GenerationConfig
from qwen3_tts_export.checkpoint.names import fold

Count = Annotated[int, Meta(ge=1)]
Counts = Annotated[tuple[Count, ...], Meta(min_length=1)]
Few = Annotated[int, Meta(ge=1, le=1024)]
"""Of parts whose tensors are counted off by name: a damaged number would never come to an end."""

Positive = Annotated[float, Meta(gt=0)]

_NAMES = {
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "max_positions": "max_position_embeddings",
}


class RopeScaling(msgspec.Struct, frozen=True):
    """The kind of rotary positions, under its newer and its older name."""

    rope_type: str = "default"
    type: str = "default"

    def __post_init__(self) -> None:
        must_be(self, "scaled rotary positions are not implemented", rope_type="default")
        must_be(self, "scaled rotary positions are not implemented", type="default")


class _Stack(msgspec.Struct, frozen=True, kw_only=True, rename=_NAMES):
    """What every transformer of a checkpoint has."""

    hidden_size: Count
    intermediate_size: Count
    num_layers: Few
    num_heads: Count
    num_kv_heads: Count
    head_dim: Count
    rope_theta: Positive
    rope_scaling: RopeScaling | None = None
    attention_bias: bool = False
    hidden_act: str = "silu"
    activation: ClassVar[str] = "silu"

    def __post_init__(self) -> None:
        must_be(self, "attention biases are not implemented", attention_bias=False)
        must_be(self, "other activations are not implemented", hidden_act=self.activation)


class TransformerConfig(_Stack, frozen=True, kw_only=True, rename=_NAMES):
    """The shape of a Qwen3 decoder stack: the code predictor, or the talker's trunk."""

    rms_norm_eps: Positive
    vocab_size: Count
    max_positions: Count
    num_codebooks: Few = msgspec.field(name="num_code_groups")
    use_sliding_window: bool = False
    layer_types: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        must_be(self, "a windowed talker is not implemented", use_sliding_window=False)
        if set(self.layer_types or ()) - {"full_attention"}:
            raise ValueError(
                f"layer_types is {json.dumps(self.layer_types)}, expected full_attention"
                " everywhere: a windowed talker is not implemented"
            )
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_key_value_heads is {self.num_kv_heads},"
                f" which does not divide {self.num_heads} heads"
            )


_CONTROL_NAMES = {"codec_eos_id": "codec_eos_token_id"}


class TalkerConfig(TransformerConfig, frozen=True, kw_only=True, rename=_NAMES | _CONTROL_NAMES):
    """The talker: its trunk, its two vocabularies and the meaning of its control codes."""

    predictor: TransformerConfig = msgspec.field(name="code_predictor_config")
    text_vocab_size: Count
    text_hidden_size: Count
    codec_bos_id: int
    codec_eos_id: int
    codec_pad_id: int
    codec_think_id: int
    codec_nothink_id: int
    codec_think_bos_id: int
    codec_think_eos_id: int
    # Absent or null in fine-tunes, where the official classes write their defaults.
    codec_language_id: Mapping[str, int] | None = None
    spk_id: Mapping[str, int] | None = None
    spk_is_dialect: Mapping[str, str | bool | None] | None = None

    @property
    def languages(self) -> Mapping[str, int]:
        """Language or dialect to its code."""
        return self.codec_language_id or {}

    @property
    def speakers(self) -> Mapping[str, int]:
        """Speaker to its code."""
        return self.spk_id or {}

    @property
    def dialects(self) -> dict[str, str]:
        """Speaker to its dialect, a key of `languages`; only the speakers that have one."""
        given = {fold(name): dialect for name, dialect in (self.spk_is_dialect or {}).items()}
        found = {name: given.get(fold(name)) for name in self.speakers}
        return {name: str(dialect) for name, dialect in found.items() if dialect}

    def __post_init__(self) -> None:
        super().__post_init__()
        ids = {
            _CONTROL_NAMES.get(name, name): getattr(self, name)
            for name in self.__struct_fields__
            if name.startswith("codec_") and name != "codec_language_id"
        }
        ids |= {f"codec_language_id.{name}": code for name, code in self.languages.items()}
        ids |= {f"spk_id.{name}": code for name, code in self.speakers.items()}
        are_within(self.vocab_size, ids)
        must_be(self.predictor, "the talker writes as many", num_codebooks=self.num_codebooks)
        known = {fold(language) for language in self.languages}
        for speaker, dialect in self.dialects.items():
            if fold(dialect) not in known:
                raise ValueError(
                    f"spk_is_dialect.{speaker} is {quoted(dialect)}, which codec_language_id lacks:"
                    " give it a code there, or make this false"
                )


class CodecDecoderConfig(_Stack, frozen=True, kw_only=True, rename=_NAMES):
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


class CodecEncoderConfig(_Stack, frozen=True, kw_only=True, rename=_NAMES):
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


LAST_STRIDE = 2
"""Of the convolution after the codec encoder's transformer; the official class has no other."""

_SPEAKER_ENCODER_NAMES = {
    "vector_size": "enc_dim",
    "channels": "enc_channels",
    "kernel_sizes": "enc_kernel_sizes",
    "dilations": "enc_dilations",
    "attention_channels": "enc_attention_channels",
    "res2net_scale": "enc_res2net_scale",
    "squeeze_channels": "enc_se_channels",
}


class SpeakerEncoderConfig(
    msgspec.Struct, frozen=True, kw_only=True, rename=_SPEAKER_ENCODER_NAMES
):
    """The speaker encoder: mel frames to one vector as wide as the talker."""

    # Source: Qwen3TTSSpeakerEncoderConfig in qwen_tts/core/models/configuration_qwen3_tts.py.
    mel_dim: Count = 128
    sample_rate: Count
    vector_size: Count
    channels: Counts = (512, 512, 512, 512, 1536)
    kernel_sizes: Counts = (5, 3, 3, 3, 1)
    dilations: Counts = (1, 2, 3, 4, 1)
    attention_channels: Count = 128
    res2net_scale: Few = 8
    squeeze_channels: Count = 128

    def __post_init__(self) -> None:
        why = "the official mel spectrogram has no other"
        must_be(self, why, mel_dim=128)
        must_be(self, why, sample_rate=24_000)
        first, *blocks, joined = self.channels
        sizes = {len(self.channels), len(self.kernel_sizes), len(self.dilations)}
        if len(sizes) > 1 or set(blocks) != {first} or sum(blocks) != joined:
            raise ValueError(
                f"enc_channels is {list(self.channels)}; expected one width for each of"
                " enc_kernel_sizes and enc_dilations, all equal but the last, their sum"
            )


class TextIds(msgspec.Struct, frozen=True):
    """Text token ids that frame a prompt."""

    tts_pad: int
    tts_bos: int
    tts_eos: int


@dataclass(frozen=True)
class CodecConfig:
    """The codec's own config.json: all of a standalone codec repository."""

    decoder: CodecDecoderConfig
    sample_rate: int
    encoder: CodecEncoderConfig | None
    """None where the checkpoint describes no encoder."""


@dataclass(frozen=True)
class CheckpointConfig:
    """Everything the config files of one checkpoint say that this project uses."""

    talker: TalkerConfig
    codec: CodecDecoderConfig
    generation: GenerationConfig
    text_ids: TextIds
    token_ids: Mapping[str, int]
    """What config.json says of `config_files.TOKENS`, by its keys; some may be left out."""
    tts_model_type: ModelType
    tts_model_size: str
    sample_rate: int
    codec_encoder: CodecEncoderConfig | None
    """What turns reference audio into codes; never None where `tts_model_type` is base."""
    speaker_encoder: SpeakerEncoderConfig | None
    """What turns reference audio into a voice; None unless `tts_model_type` is base."""

    @property
    def predictor(self) -> TransformerConfig:
        """The code predictor, whose section stands in the talker's."""
        return self.talker.predictor


def must_be(section: msgspec.Struct, why: str, **only: Any) -> None:
    """Refuse what the modules do not implement, rather than compute something else."""
    names = dict(zip(section.__struct_fields__, section.__struct_encode_fields__, strict=True))
    for name, expected in only.items():
        found = getattr(section, name)
        if found != expected:
            raise ValueError(
                f"{names[name]} is {json.dumps(found)}, expected {json.dumps(expected)}: {why}"
            )


def are_within(size: int, ids: Mapping[str, int]) -> None:
    """Refuse an id that a vocabulary of `size` does not have."""
    for name, found in ids.items():
        if not 0 <= found < size:
            raise ValueError(f"{name} is {found}, outside the vocabulary of {size}")
