"""From a checkpoint's JSON files to its `CheckpointConfig`, refusing what is not implemented here.

A missing key is an error that names the file and the key; no value is guessed.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.config import (
    CheckpointConfig,
    CodecConfig,
    CodecDecoderConfig,
    GenerationConfig,
    TalkerConfig,
    TextIds,
    TransformerConfig,
)
from qwen3_tts_export.checkpoint.encoder_config import read_codec_encoder, read_speaker_encoder
from qwen3_tts_export.checkpoint.json_section import JsonSection

MODEL_TYPE = "qwen3_tts"
CODEC_TYPE = "qwen3_tts_tokenizer_12hz"
TTS_MODEL_TYPES = ("custom_voice", "voice_design", "base")


def refuse_foreign(config: Mapping[str, Any], *, file: str) -> None:
    """Refuse another model family and the 25 Hz tokenizer, by what config.json calls itself.

    Raises:
        CheckpointError: Says what the file is and what is supported.
    """
    top = JsonSection(config, file)
    found = top.text("model_type")
    if found == CODEC_TYPE:
        raise CheckpointError(
            f"{file}: this is the codec alone; expected a whole checkpoint such as"
            " Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice"
        )
    if found != MODEL_TYPE:
        raise CheckpointError(
            f"{file}: model_type is {found!r}, expected {MODEL_TYPE!r};"
            " this is not a Qwen3-TTS checkpoint"
        )
    tokenizer = top.text("tokenizer_type")
    if tokenizer != CODEC_TYPE:
        raise CheckpointError(
            f"{file}: tokenizer_type is {tokenizer!r}, expected {CODEC_TYPE!r};"
            " use a Qwen3-TTS-12Hz checkpoint, the 25 Hz family is not supported"
        )


def parse_checkpoint(
    config: Mapping[str, Any],
    codec: Mapping[str, Any],
    generation: Mapping[str, Any],
    *,
    folder: str = "",
) -> CheckpointConfig:
    """Read the three JSON objects of a checkpoint: the model's, the codec's, the sampling defaults.

    Args:
        config: The content of config.json.
        codec: The content of speech_tokenizer/config.json.
        generation: The content of generation_config.json.
        folder: Put before file names in messages.

    Raises:
        CheckpointError: A key is missing or wrong, or the model is not implemented here.
    """
    top = JsonSection(config, f"{folder}config.json")
    refuse_foreign(config, file=top.file)
    model_type = top.text("tts_model_type")
    top.must_be("tts_model_type", TTS_MODEL_TYPES, "only these voices are known")
    talker = _talker(top.section("talker_config"))
    predictor_section = top.section("talker_config").section("code_predictor_config")
    predictor = _transformer(predictor_section)
    codec_config = parse_codec(codec, file=f"{folder}speech_tokenizer/config.json")
    _agree(predictor_section, "num_code_groups", talker.num_codebooks, "the talker")
    if codec_config.decoder.num_codebooks != talker.num_codebooks:
        raise CheckpointError(
            f"{top.file}: the talker writes {talker.num_codebooks} codebooks, the codec reads"
            f" {codec_config.decoder.num_codebooks}; the two are not from one checkpoint"
        )
    _agree(predictor_section, "vocab_size", codec_config.decoder.codebook_size, "the codec")
    speaker_encoder = None
    if model_type == "base":
        speaker_encoder = read_speaker_encoder(
            top.section("speaker_encoder_config"), talker.hidden_size
        )
        _refuse_deaf(codec_config, file=f"{folder}speech_tokenizer/config.json")
    return CheckpointConfig(
        talker=talker,
        predictor=predictor,
        codec=codec_config.decoder,
        generation=parse_generation(
            generation,
            file=f"{folder}generation_config.json",
            non_streaming_mode=model_type != "base",
        ),
        text_ids=TextIds(
            **{
                name: top.index(f"{name}_token_id", talker.text_vocab_size)
                for name in TextIds.__dataclass_fields__
            }
        ),
        tts_model_type=model_type,
        tts_model_size=top.text("tts_model_size"),
        sample_rate=codec_config.sample_rate,
        codec_encoder=codec_config.encoder,
        speaker_encoder=speaker_encoder,
    )


def parse_codec(codec: Mapping[str, Any], *, file: str = "config.json") -> CodecConfig:
    """Read the codec's config.json, which is also all of a standalone codec repository.

    Raises:
        CheckpointError: As for `parse_checkpoint`.
    """
    top = JsonSection(codec, file)
    found = top.text("model_type")
    if found != CODEC_TYPE:
        raise CheckpointError(
            f"{file}: model_type is {found!r}, expected {CODEC_TYPE!r};"
            " only the 12 Hz codec is supported"
        )
    section = top.section("decoder_config")
    _refuse_unsupported(section, sliding=True)
    decoder = CodecDecoderConfig(
        codebook_size=section.count("codebook_size"),
        codebook_dim=section.count("codebook_dim"),
        num_codebooks=section.count("num_quantizers"),
        latent_dim=section.count("latent_dim"),
        hidden_size=section.count("hidden_size"),
        intermediate_size=section.count("intermediate_size"),
        num_layers=section.count("num_hidden_layers"),
        num_heads=section.count("num_attention_heads"),
        num_kv_heads=section.count("num_key_value_heads"),
        head_dim=section.count("head_dim"),
        sliding_window=section.count("sliding_window"),
        rope_theta=section.number("rope_theta"),
        rms_norm_eps=section.number("rms_norm_eps"),
        decoder_dim=section.count("decoder_dim"),
        upsample_rates=section.counts("upsample_rates"),
        upsampling_ratios=section.counts("upsampling_ratios"),
    )
    _agree(top, "decode_upsample_rate", decoder.samples_per_frame, "decoder_config")
    sample_rate = top.count("output_sample_rate")
    encoder = None
    if top.values.get("encoder_config") is not None:
        encoder = read_codec_encoder(
            top.section("encoder_config"), top.count("encoder_valid_num_quantizers"), sample_rate
        )
        _agree(top, "input_sample_rate", sample_rate, "output_sample_rate")
        _agree(top, "encode_downsample_rate", encoder.samples_per_frame, "encoder_config")
    return CodecConfig(decoder, sample_rate, encoder)


def parse_generation(
    values: Mapping[str, Any],
    *,
    file: str = "generation_config.json",
    non_streaming_mode: bool = True,
) -> GenerationConfig:
    """Read generation_config.json; a setting it leaves out takes the official package's default.

    Args:
        values: The content of the file.
        file: Its name, for messages.
        non_streaming_mode: The default of that setting, which the kind of checkpoint decides.
    """
    section = JsonSection(values, file)
    read = {bool: section.flag, int: section.integer, float: section.number}
    defaults = GenerationConfig(non_streaming_mode=non_streaming_mode)
    given: dict[str, Any] = {
        name: read[type(getattr(defaults, name))](name)
        for name in GenerationConfig.__dataclass_fields__
        if name in values
    }
    return replace(defaults, **given)


def _transformer(section: JsonSection) -> TransformerConfig:
    _refuse_unsupported(section, sliding=False)
    config = TransformerConfig(
        hidden_size=section.count("hidden_size"),
        intermediate_size=section.count("intermediate_size"),
        num_layers=section.count("num_hidden_layers"),
        num_heads=section.count("num_attention_heads"),
        num_kv_heads=section.count("num_key_value_heads"),
        head_dim=section.count("head_dim"),
        rope_theta=section.number("rope_theta"),
        rms_norm_eps=section.number("rms_norm_eps"),
        vocab_size=section.count("vocab_size"),
        max_positions=section.count("max_position_embeddings"),
    )
    if config.num_heads % config.num_kv_heads:
        raise CheckpointError(
            f"{section.where('num_key_value_heads')} is {config.num_kv_heads},"
            f" which does not divide {config.num_heads} heads"
        )
    return config


def _talker(section: JsonSection) -> TalkerConfig:
    trunk = _transformer(section)
    size = trunk.vocab_size
    languages = section.section("codec_language_id")
    speakers = section.section("spk_id")
    dialects = section.section("spk_is_dialect")
    config = TalkerConfig(
        **vars(trunk),
        num_codebooks=section.count("num_code_groups"),
        text_vocab_size=section.count("text_vocab_size"),
        text_hidden_size=section.count("text_hidden_size"),
        codec_bos_id=section.index("codec_bos_id", size),
        codec_eos_id=section.index("codec_eos_token_id", size),
        codec_pad_id=section.index("codec_pad_id", size),
        codec_think_id=section.index("codec_think_id", size),
        codec_nothink_id=section.index("codec_nothink_id", size),
        codec_think_bos_id=section.index("codec_think_bos_id", size),
        codec_think_eos_id=section.index("codec_think_eos_id", size),
        languages=languages.indices(size),
        speakers=speakers.indices(size),
        dialects={
            name: dialects.text(name)
            for name in dialects.values
            if dialects.values[name] is not False
        },
    )
    for speaker, dialect in config.dialects.items():
        if speaker not in config.speakers or dialect not in config.languages:
            raise CheckpointError(
                f"{dialects.where(speaker)} is {dialect!r}, expected a key of codec_language_id"
                " for a speaker of spk_id"
            )
    return config


def _refuse_unsupported(section: JsonSection, *, sliding: bool) -> None:
    """Refuse what the modules do not implement, rather than compute something else."""
    section.must_be("attention_bias", (False,), "attention biases are not implemented")
    section.must_be("hidden_act", ("silu",), "other activations are not implemented")
    if not sliding:
        section.must_be("use_sliding_window", (False,), "a windowed talker is not implemented")
        layers = section.values.get("layer_types") or []
        if set(layers) - {"full_attention"}:
            raise CheckpointError(
                f"{section.where('layer_types')} is {layers!r},"
                " expected full_attention everywhere: a windowed talker is not implemented"
            )
    if section.values.get("rope_scaling") is not None:
        scaling = section.section("rope_scaling")
        for key in ("rope_type", "type"):
            scaling.must_be(key, ("default",), "scaled rotary positions are not implemented")


def _refuse_deaf(codec: CodecConfig, *, file: str) -> None:
    """A base checkpoint hears reference audio, and speaks in the codes that it hears."""
    if codec.encoder is None:
        raise CheckpointError(
            f"{file}: encoder_config is missing; a base checkpoint needs it, download it again"
        )
    heard = (codec.encoder.num_codebooks, codec.encoder.codebook_size)
    spoken = (codec.decoder.num_codebooks, codec.decoder.codebook_size)
    if heard != spoken:
        raise CheckpointError(
            f"{file}: the encoder writes {heard[0]} codebooks of {heard[1]}, the decoder reads"
            f" {spoken[0]} of {spoken[1]}; the two are not from one codec"
        )


def _agree(section: JsonSection, key: str, expected: int, other: str) -> None:
    found = section.count(key)
    if found != expected:
        raise CheckpointError(
            f"{section.where(key)} is {found}, but {other} says {expected};"
            " the files are not from one checkpoint"
        )
