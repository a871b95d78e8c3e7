"""Turn a checkpoint's JSON files into its `CheckpointConfig`; refuse what is not implemented here.

A missing key is an error that names the file and the key; no value is guessed.
"""

import re
from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from qwen3_tts_edge.bundle.names import BASE, CUSTOM_VOICE, ModelType
from qwen3_tts_edge.errors import CheckpointError, quoted
from qwen3_tts_export.checkpoint.codec_config import (
    CodecConfig,
    CodecDecoderConfig,
    CodecEncoderConfig,
)
from qwen3_tts_export.checkpoint.config import (
    CheckpointConfig,
    SpeakerEncoderConfig,
    TalkerConfig,
    TextIds,
    TransformerConfig,
)
from qwen3_tts_export.checkpoint.generation import parse_generation
from qwen3_tts_export.checkpoint.identity import cure
from qwen3_tts_export.checkpoint.json_file import convert
from qwen3_tts_export.checkpoint.section import Count, RopeScaling, are_within, must_be
from qwen3_tts_export.checkpoint.spec import CODEC_FOLDER

MODEL_TYPE = "qwen3_tts"
CODEC_TYPE = "qwen3_tts_tokenizer_12hz"
_OF_ONE = "take all files from one checkpoint"
_ENCODER = "take that of the base it was trained from, or make tts_model_type custom_voice"


TOKENS: Mapping[str, str] = {
    "im_start_token_id": "<|im_start|>",
    "im_end_token_id": "<|im_end|>",
    "assistant_token_id": "assistant",
    "tts_pad_token_id": "<tts_pad>",
    "tts_bos_token_id": "<tts_text_bos>",
    "tts_eos_token_id": "<tts_text_eod>",
}
"""The keys of config.json that give a text token an id, and how the token is spelt."""


class _Kind(msgspec.Struct):
    model_type: str


class _Family(_Kind):
    tokenizer_type: str
    tts_model_type: str


class _Model(msgspec.Struct):
    """config.json."""

    tts_model_type: ModelType
    talker_config: TalkerConfig
    tts_pad_token_id: int
    tts_bos_token_id: int
    tts_eos_token_id: int
    tts_model_size: str | float | None = None
    im_start_token_id: int | None = None
    im_end_token_id: int | None = None
    assistant_token_id: int | None = None
    speaker_encoder_config: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        are_within(self.talker_config.text_vocab_size, self.token_ids)
        if self.tts_model_type == CUSTOM_VOICE and not self.size:
            raise ValueError(
                "tts_model_size is missing, which says whether a custom_voice checkpoint takes"
                " instructions: make it 0b6 or 1b7"
            )

    @property
    def token_ids(self) -> dict[str, int]:
        """What is said of `TOKENS`."""
        return {key: index for key in TOKENS if (index := getattr(self, key)) is not None}

    @property
    def size(self) -> str:
        """The size as published: `1b7` where somebody has written 1.7B, `1.7b` or 1.7."""
        given = str(self.tts_model_size or "").lower()
        found = re.search(r"(?<![\d.])(\d)[.b](\d)(?!\d)", given)
        return "b".join(found.groups()) if found else given


class _Codec(msgspec.Struct):
    """speech_tokenizer/config.json."""

    output_sample_rate: Count
    decode_upsample_rate: Count
    decoder_config: CodecDecoderConfig
    encoder_config: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        samples = self.decoder_config.samples_per_frame
        must_be(self, "decoder_config makes as many samples", decode_upsample_rate=samples)


class _Encoder(msgspec.Struct):
    """Keys of speech_tokenizer/config.json that must be there if it describes an encoder."""

    encoder_valid_num_quantizers: Count
    input_sample_rate: Count
    encode_downsample_rate: Count


CODED_NAMES = frozenset({"codec_language_id", "spk_id", "spk_is_dialect"})
"""Keys of objects whose own keys are names that the checkpoint gives."""

KEYS_READ = frozenset(
    key
    for kind in (
        *(_Family, _Model, TalkerConfig, TransformerConfig, RopeScaling, SpeakerEncoderConfig),
        *(_Codec, _Encoder, CodecDecoderConfig, CodecEncoderConfig),
    )
    for key in kind.__struct_encode_fields__
)
"""All keys of config.json, the codec's too, that mean something here."""


def refuse_foreign(config: Mapping[str, Any], *, file: str) -> None:
    """Refuse another model family and the 25 Hz tokenizer, by what config.json calls itself.

    Raises:
        CheckpointError: Says what the file is and what is supported.
    """
    found = convert(config, _Kind, file).model_type
    if found == CODEC_TYPE:
        raise CheckpointError(
            f"{file}: this is the codec alone; expected a whole checkpoint",
            "name one such as Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice",
        )
    if found != MODEL_TYPE:
        raise CheckpointError(
            f"{file}: model_type is {quoted(found)}, expected {MODEL_TYPE!r}",
            "name a Qwen3-TTS checkpoint, this is another model",
        )
    family = convert(config, _Family, file)
    if family.tokenizer_type != CODEC_TYPE:
        raise CheckpointError(
            f"{file}: tokenizer_type is {quoted(family.tokenizer_type)}, expected {CODEC_TYPE!r}",
            "use a Qwen3-TTS-12Hz checkpoint, the 25 Hz family is not supported",
        )
    if family.tts_model_type not in get_args(ModelType):
        raise CheckpointError(
            f"{file}: tts_model_type is {quoted(family.tts_model_type)}, expected one of"
            f" {', '.join(get_args(ModelType))}",
            cure(file, "correct it"),
        )


def parse_checkpoint(
    config: Mapping[str, Any],
    codec: Mapping[str, Any],
    generation: Mapping[str, Any],
    *,
    folder: str = "",
    codec_folder: str | None = None,
) -> CheckpointConfig:
    """Read the three JSON objects of a checkpoint: the model's, the codec's, the sampling defaults.

    Args:
        config: The content of config.json.
        codec: The content of speech_tokenizer/config.json.
        generation: The content of generation_config.json.
        folder: Put before file names in messages.
        codec_folder: The same, before that of the codec, if it lies elsewhere.

    Raises:
        CheckpointError: A key is missing or wrong, or the model is not implemented here.
    """
    codec_folder = f"{folder}{CODEC_FOLDER}/" if codec_folder is None else codec_folder
    file, codec_file = f"{folder}config.json", f"{codec_folder}config.json"
    config = with_rope_theta(config)
    refuse_foreign(config, file=file)
    model = convert(config, _Model, file)
    talker = model.talker_config
    codec_config = parse_codec(codec, file=codec_file)
    at = "talker_config.code_predictor_config"
    predictor, codebook = talker.predictor, codec_config.decoder.codebook_size
    books = talker.num_codebooks
    _agree(file, f"{at}.num_code_groups", predictor.num_codebooks, "the talker", books)
    _agree(file, f"{at}.vocab_size", predictor.vocab_size, "the codec", codebook)
    if codec_config.decoder.num_codebooks != talker.num_codebooks:
        raise CheckpointError(
            f"{file}: the talker writes {talker.num_codebooks} codebooks, the codec reads"
            f" {codec_config.decoder.num_codebooks}: the two are not from one checkpoint",
            cure(file, _OF_ONE),
        )
    speaker_encoder = None
    if model.tts_model_type == BASE:
        speaker_encoder = _speaker_encoder(model, file)
        _refuse_deaf(codec_config, file=codec_file)
    return CheckpointConfig(
        talker=talker,
        codec=codec_config.decoder,
        generation=parse_generation(
            generation,
            file=f"{folder}generation_config.json",
            non_streaming_mode=model.tts_model_type != BASE,
        ),
        token_ids=model.token_ids,
        text_ids=TextIds(model.tts_pad_token_id, model.tts_bos_token_id, model.tts_eos_token_id),
        tts_model_type=model.tts_model_type,
        tts_model_size=model.size,
        sample_rate=codec_config.sample_rate,
        codec_encoder=codec_config.encoder,
        speaker_encoder=speaker_encoder,
    )


def parse_codec(values: Mapping[str, Any], *, file: str = "config.json") -> CodecConfig:
    """Read the codec's config.json, which is also all of a standalone codec repository.

    Raises:
        CheckpointError: As for `parse_checkpoint`.
    """
    values = with_rope_theta(values)
    found = convert(values, _Kind, file).model_type
    if found != CODEC_TYPE:
        raise CheckpointError(
            f"{file}: model_type is {quoted(found)}, expected {CODEC_TYPE!r}",
            "use the 12 Hz codec, no other is supported",
        )
    codec = convert(values, _Codec, file)
    decoder, rate = codec.decoder_config, codec.output_sample_rate
    encoder = None
    if codec.encoder_config is not None:
        beside = convert(values, _Encoder, file)
        _agree(file, "input_sample_rate", beside.input_sample_rate, "output_sample_rate", rate)
        section = {**codec.encoder_config, **msgspec.structs.asdict(beside)}
        encoder = convert(section, CodecEncoderConfig, file, "encoder_config")
        step, samples = beside.encode_downsample_rate, encoder.samples_per_frame
        _agree(file, "encode_downsample_rate", step, "encoder_config", samples)
    return CodecConfig(decoder, rate, encoder)


def with_rope_theta(values: Mapping[str, Any]) -> dict[str, Any]:
    """Spell rotary positions as published, where transformers 5 saved rope_parameters."""
    values = {
        key: with_rope_theta(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
    }
    given = values.get("rope_parameters")
    if isinstance(given, Mapping):
        for key, value in (("rope_theta", given.get("rope_theta")), ("rope_scaling", given)):
            if values.get(key) is None:
                values[key] = value
    return values


def _speaker_encoder(model: _Model, file: str) -> SpeakerEncoderConfig:
    at = "speaker_encoder_config"
    if model.speaker_encoder_config is None:
        raise CheckpointError(
            f"{file}: {at} is missing, and a base checkpoint needs it", cure(file, _ENCODER)
        )
    config = convert(model.speaker_encoder_config, SpeakerEncoderConfig, file, at)
    width = model.talker_config.hidden_size
    _agree(file, f"{at}.enc_dim", config.vector_size, "the talker's hidden_size", width)
    return config


def _refuse_deaf(codec: CodecConfig, *, file: str) -> None:
    """Refuse a base checkpoint whose encoder cannot hear the codes that the talker speaks."""
    if codec.encoder is None:
        raise CheckpointError(
            f"{file}: encoder_config is missing, and a base checkpoint needs it",
            cure(file, "take the codec of the checkpoint it was trained from"),
        )
    heard = (codec.encoder.num_codebooks, codec.encoder.codebook_size)
    spoken = (codec.decoder.num_codebooks, codec.decoder.codebook_size)
    if heard != spoken:
        raise CheckpointError(
            f"{file}: the encoder writes {heard[0]} codebooks of {heard[1]}, the decoder reads"
            f" {spoken[0]} of {spoken[1]}: the two are not from one codec",
            cure(file, _OF_ONE),
        )


def _agree(file: str, what: str, found: int, other: str, expected: int) -> None:
    if found != expected:
        raise CheckpointError(
            f"{file}: {what} is {found}, but {other} says {expected}: the files are not from one"
            " checkpoint",
            cure(file, _OF_ONE),
        )
