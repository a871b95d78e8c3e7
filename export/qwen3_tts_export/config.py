"""The numbers of a checkpoint, as values. `config_files` reads them from its JSON files.

Nothing here has a default, because the defaults of the official config classes are not the released
models (other depths, other ids). The exception is `GenerationConfig`, where fixed fallbacks are
what the official package does.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
    """Whether the whole text stands in the prompt. Ours: the official files do not have it."""


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
    encoder: Mapping[str, Any] | None
    """The codec encoder's raw JSON, or None where the checkpoint describes no encoder."""


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
    codec_encoder: Mapping[str, Any] | None
    """Raw JSON of the codec encoder, which turns reference audio into codes."""
    speaker_encoder: Mapping[str, Any] | None
    """Raw JSON of the speaker encoder; None unless `tts_model_type` is base."""
