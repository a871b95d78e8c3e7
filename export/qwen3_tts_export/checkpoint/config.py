"""The numbers of a checkpoint, as values. `config_files` reads them from its JSON files.

Nothing here has a default, because the defaults of the official config classes are not the released
models (other depths, other ids). The exceptions are `GenerationConfig`, where fixed fallbacks are
what the official package does, and the speaker encoder, of which released files say two numbers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class TransformerConfig:
    """The shape of a Qwen3 decoder stack: the code predictor, or the talker's trunk."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rope_theta: float
    rms_norm_eps: float
    vocab_size: int
    max_positions: int


@dataclass(frozen=True)
class TalkerConfig(TransformerConfig):
    """The talker: its trunk, its two vocabularies and the meaning of its control codes."""

    num_codebooks: int
    text_vocab_size: int
    text_hidden_size: int
    codec_bos_id: int
    codec_eos_id: int
    codec_pad_id: int
    codec_think_id: int
    codec_nothink_id: int
    codec_think_bos_id: int
    codec_think_eos_id: int
    languages: Mapping[str, int]
    speakers: Mapping[str, int]
    dialects: Mapping[str, str]
    """Speaker to its dialect, a key of `languages`; only the speakers that have one."""


@dataclass(frozen=True)
class CodecDecoderConfig:
    """The codec decoder: codebooks, a windowed transformer, convolutions up to the samples."""

    codebook_size: int
    codebook_dim: int
    num_codebooks: int
    latent_dim: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    sliding_window: int
    rope_theta: float
    rms_norm_eps: float
    decoder_dim: int
    upsample_rates: tuple[int, ...]
    upsampling_ratios: tuple[int, ...]

    @property
    def samples_per_frame(self) -> int:
        """Samples one frame of codes becomes: 1920 in the released codec."""
        return math.prod(self.upsample_rates) * math.prod(self.upsampling_ratios)


@dataclass(frozen=True)
class CodecEncoderConfig:
    """The codec encoder: convolutions down from the samples, a transformer, codebooks."""

    num_filters: int
    num_residual_layers: int
    kernel_size: int
    last_kernel_size: int
    residual_kernel_size: int
    dilation_growth_rate: int
    compress: int
    upsampling_ratios: tuple[int, ...]
    """The strides of the convolutions, last one first."""
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    head_dim: int
    rope_theta: float
    norm_eps: float
    codebook_size: int
    codebook_dim: int
    quantizer_dim: int
    num_quantizers: int
    num_semantic_quantizers: int
    num_codebooks: int
    """How many of the quantizers become codes, the semantic ones first."""

    @property
    def samples_per_frame(self) -> int:
        """Samples that become one frame of codes: 1920 in the released codec."""
        return math.prod(self.upsampling_ratios) * LAST_STRIDE


LAST_STRIDE = 2
"""Of the convolution after the codec encoder's transformer; the official class has no other."""


@dataclass(frozen=True)
class SpeakerEncoderConfig:
    """The speaker encoder: mel frames to one vector as wide as the talker."""

    mel_dim: int
    sample_rate: int
    vector_size: int
    channels: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    dilations: tuple[int, ...]
    attention_channels: int
    res2net_scale: int
    squeeze_channels: int


@dataclass(frozen=True)
class GenerationConfig:
    """Sampling defaults; what generation_config.json leaves out is the official default."""

    do_sample: bool = True
    temperature: float = 0.9
    top_k: int = 50
    top_p: float = 1.0
    repetition_penalty: float = 1.05
    subtalker_dosample: bool = True
    subtalker_temperature: float = 0.9
    subtalker_top_k: int = 50
    subtalker_top_p: float = 1.0
    max_new_tokens: int = 2048
    non_streaming_mode: bool = True
    """Whether the whole text stands in the prompt. Ours: the official files do not have it, and
    for a base checkpoint the official default is that it does not."""


@dataclass(frozen=True)
class TextIds:
    """Text token ids that frame a prompt."""

    im_start: int
    im_end: int
    assistant: int
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
    predictor: TransformerConfig
    codec: CodecDecoderConfig
    generation: GenerationConfig
    text_ids: TextIds
    tts_model_type: str
    tts_model_size: str
    sample_rate: int
    codec_encoder: CodecEncoderConfig | None
    """What turns reference audio into codes; never None where `tts_model_type` is base."""
    speaker_encoder: SpeakerEncoderConfig | None
    """What turns reference audio into a voice; None unless `tts_model_type` is base."""
