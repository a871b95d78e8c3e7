"""The numbers of a checkpoint, as values; what is not implemented here is refused.

Fields are called as in this project, and `rename` says what the official files call them. Keys that
no field has are ignored. What has no default must be in the file, because the defaults of the
official config classes are not the released models (other depths, other ids). The exceptions are
the speaker encoder, of which released files say two numbers, and what fine-tunes leave out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from qwen3_tts_edge.bundle.names import ModelType
from qwen3_tts_edge.errors import quoted
from qwen3_tts_export.checkpoint.codec_config import CodecDecoderConfig, CodecEncoderConfig
from qwen3_tts_export.checkpoint.generation import GenerationConfig
from qwen3_tts_export.checkpoint.names import fold
from qwen3_tts_export.checkpoint.section import (
    NAMES,
    Count,
    Counts,
    Few,
    Positive,
    Stack,
    are_within,
    must_be,
)


class TransformerConfig(Stack, frozen=True, kw_only=True, rename=NAMES):
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


class TalkerConfig(TransformerConfig, frozen=True, kw_only=True, rename=NAMES | _CONTROL_NAMES):
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
