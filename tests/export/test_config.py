"""Reading the config files: every number from the file, every refusal by name."""

import json
import re
from typing import Any

import pytest

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.config import CheckpointConfig, TextIds, TransformerConfig
from qwen3_tts_export.checkpoint.config_files import parse_checkpoint, parse_codec
from tiny import EDGE_VOICE, tiny_config

Json = dict[str, Any]


def parse(config: Json, codec: Json) -> CheckpointConfig:
    return parse_checkpoint(config, codec, {})


def section_of(values: Json, path: str) -> tuple[Json, str]:
    *parents, key = path.split(".")
    for parent in parents:
        values = values[parent]
    return values, key


def without(values: Json, path: str) -> Json:
    section, key = section_of(values, path)
    del section[key]
    return values


def with_value(values: Json, path: str, value: Any) -> Json:
    section, key = section_of(values, path)
    section[key] = value
    return values


def refusal(config: Json, codec: Json) -> str:
    with pytest.raises(CheckpointError) as raised:
        parse(config, codec)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_talker_is_what_config_json_says() -> None:
    talker = parse(*tiny_config()).talker
    assert (talker.hidden_size, talker.intermediate_size, talker.num_layers) == (128, 192, 3)
    assert (talker.num_heads, talker.num_kv_heads, talker.head_dim) == (4, 2, 32)
    assert (talker.rope_theta, talker.rms_norm_eps, talker.max_positions) == (1e6, 1e-6, 4096)
    assert (talker.vocab_size, talker.num_codebooks) == (3072, 16)
    assert (talker.text_vocab_size, talker.text_hidden_size) == (520, 96)


def test_control_codes_keep_their_ids() -> None:
    talker = parse(*tiny_config()).talker
    assert (talker.codec_pad_id, talker.codec_bos_id, talker.codec_eos_id) == (2148, 2149, 2150)
    assert (talker.codec_think_id, talker.codec_nothink_id) == (2154, 2155)
    assert (talker.codec_think_bos_id, talker.codec_think_eos_id) == (2156, 2157)


def test_only_dialect_speakers_have_a_dialect() -> None:
    talker = parse(*tiny_config("custom_voice")).talker
    assert talker.dialects == {"eric": "sichuan_dialect", "dylan": "beijing_dialect"}
    assert talker.speakers["ryan"] == 3061
    assert talker.languages["portuguese"] == 2071
    assert (len(talker.speakers), len(talker.languages)) == (9, 12)


@pytest.mark.parametrize("absent", [True, False])
def test_a_fine_tune_may_leave_its_tables_null_or_out(absent: bool) -> None:
    config, codec = tiny_config("base")
    for name in ("codec_language_id", "spk_id", "spk_is_dialect"):
        config["talker_config"][name] = None
        if absent:
            del config["talker_config"][name]
    talker = parse(config, codec).talker
    assert (talker.languages, talker.speakers, talker.dialects) == ({}, {}, {})


def test_a_fine_tune_may_leave_a_dialect_null_or_one_of_a_speaker_it_has_not() -> None:
    config, codec = tiny_config()
    config["talker_config"] |= {
        "spk_id": {"Anna": 3000, "eric": 2875},
        "spk_is_dialect": {"Anna": None, "eric": "sichuan_dialect", "dylan": "beijing_dialect"},
    }
    talker = parse(config, codec).talker
    assert (talker.speakers["Anna"], talker.dialects) == (3000, {"eric": "sichuan_dialect"})


def test_a_speaker_has_its_dialect_however_the_two_tables_spell_it() -> None:
    config, codec = tiny_config()
    config["talker_config"] |= {
        "spk_id": {"Eric": 2875, "dylan ": 2878},
        "spk_is_dialect": {"eric": "sichuan_dialect", "Dylan": "beijing_dialect"},
    }
    talker = parse(config, codec).talker
    assert talker.dialects == {"Eric": "sichuan_dialect", "dylan ": "beijing_dialect"}


def test_rope_parameters_of_transformers_5_are_rotary_positions() -> None:
    published, codec = tiny_config()
    saved, saved_codec = tiny_config()
    for section in (
        saved["talker_config"],
        saved["talker_config"]["code_predictor_config"],
        saved_codec["decoder_config"],
        saved_codec["encoder_config"],
    ):
        section.pop("rope_scaling", None)
        theta = section.pop("rope_theta")
        section["rope_parameters"] = {"rope_theta": theta, "rope_type": "default"}
        section["dtype"] = "bfloat16"
    found, expected = parse(saved, saved_codec), parse(published, codec)
    for name in ("talker", "predictor", "codec", "codec_encoder"):
        assert getattr(found, name).rope_theta == getattr(expected, name).rope_theta
    saved["talker_config"]["rope_parameters"]["rope_type"] = "yarn"
    assert "scaled rotary positions are not implemented" in refusal(saved, saved_codec)


def test_the_predictor_has_its_own_shape() -> None:
    assert parse(*tiny_config(predictor="narrow")).predictor == TransformerConfig(
        hidden_size=64,
        intermediate_size=160,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        head_dim=32,
        rope_theta=1e6,
        rms_norm_eps=1e-6,
        vocab_size=2048,
        max_positions=64,
        num_codebooks=16,
        layer_types=("full_attention", "full_attention"),
    )


def test_the_codec_turns_a_frame_into_1920_samples() -> None:
    config = parse(*tiny_config())
    assert config.codec.samples_per_frame == 1920
    assert (config.codec.upsample_rates, config.codec.upsampling_ratios) == ((8, 5, 4, 3), (2, 2))
    assert (config.codec.sliding_window, config.codec.rope_theta) == (72, 1e4)
    assert config.sample_rate == 24000


def test_the_bundled_voice_is_read_whole() -> None:
    def read(name: str) -> Json:
        return json.loads((EDGE_VOICE / name).read_text())

    config = parse_checkpoint(
        read("config.json"), read("speech_tokenizer/config.json"), read("generation_config.json")
    )
    voice = read("config.json")
    assert config.tts_model_type == "custom_voice"
    assert config.talker.hidden_size == voice["talker_config"]["hidden_size"]
    assert config.talker.speakers == voice["talker_config"]["spk_id"]
    assert config.generation.max_new_tokens == read("generation_config.json")["max_new_tokens"]


def test_text_ids_come_from_the_top_level() -> None:
    assert parse(*tiny_config()).text_ids == TextIds(tts_pad=516, tts_bos=517, tts_eos=518)


@pytest.mark.parametrize("kind", ["custom_voice", "voice_design"])
def test_only_base_has_a_speaker_encoder(kind: Any) -> None:
    assert parse(*tiny_config(kind)).speaker_encoder is None
    encoder = parse(*tiny_config("base")).speaker_encoder
    assert encoder is not None
    assert (encoder.vector_size, encoder.sample_rate) == (128, 24000)
    # Of these tiny configs say nothing, as the released ones.
    assert (encoder.kernel_sizes, encoder.dilations) == ((5, 3, 3, 3, 1), (1, 2, 3, 4, 1))
    assert (encoder.mel_dim, encoder.res2net_scale) == (128, 8)


def test_base_without_a_speaker_encoder_is_refused() -> None:
    config, codec = tiny_config("base")
    del config["speaker_encoder_config"]
    with pytest.raises(CheckpointError, match=r"config\.json: speaker_encoder_config is missing"):
        parse(config, codec)


def test_the_codec_hears_with_half_of_its_quantizers() -> None:
    encoder = parse(*tiny_config()).codec_encoder
    assert encoder is not None
    assert (encoder.num_quantizers, encoder.num_codebooks) == (32, 16)
    assert encoder.samples_per_frame == 1920
    assert (encoder.rope_theta, encoder.norm_eps) == (1e4, 1e-5)


def test_a_codec_may_come_without_an_encoder_unless_it_is_to_clone() -> None:
    config, codec = tiny_config()
    del codec["encoder_config"]
    assert parse(config, codec).codec_encoder is None
    with pytest.raises(CheckpointError, match="encoder_config is missing, and a base"):
        parse(tiny_config("base")[0], codec)


def test_what_a_base_checkpoint_hears_is_what_it_speaks() -> None:
    config, codec = tiny_config("base")
    codec["encoder_valid_num_quantizers"] = 8
    message = "the encoder writes 8 codebooks of 2048, the decoder reads 16 of 2048"
    with pytest.raises(CheckpointError, match=message):
        parse(config, codec)
    assert parse(*tiny_config()).codec_encoder is not None


@pytest.mark.parametrize(("kind", "upfront"), [("base", False), ("voice_design", True)])
def test_only_a_base_checkpoint_reads_along_by_default(kind: Any, upfront: bool) -> None:
    config, codec = tiny_config(kind)
    assert parse(config, codec).generation.non_streaming_mode is upfront
    asked = parse_checkpoint(config, codec, {"non_streaming_mode": not upfront})
    assert asked.generation.non_streaming_mode is not upfront


OPTIONAL = {
    *(
        "tts_model_size",  # but for custom_voice
        "architectures",
        "speaker_encoder_config",
        "encoder_config",
        "hidden_act",
        "attention_bias",
    ),
    *("rope_scaling", "use_sliding_window", "sliding_window", "layer_types", "spk_is_dialect"),
    *("audio_channels", "use_causal_conv", "pad_mode", "use_conv_shortcut", "frame_rate"),
    *("im_start_token_id", "im_end_token_id", "assistant_token_id", "spk_id", "codec_language_id"),
}
UNUSED = {
    *(
        "attention_dropout",
        "position_id_per_seconds",
        "layer_scale_initial_scale",
        "sampling_rate",
        "upsample_groups",
    ),
}


def keys_of(values: Json, before: str = "") -> list[str]:
    """Every key of the objects that have fixed keys, with its path."""
    paths = []
    for key, value in values.items():
        paths.append(f"{before}{key}")
        if key.endswith("_config"):
            paths += keys_of(value, f"{before}{key}.")
    return paths


def is_required(path: str) -> bool:
    section, _, key = path.rpartition(".")
    if key in {"model_type", "sliding_window"}:  # a section's own type is not read
        return section == ("" if key == "model_type" else "decoder_config")
    if key == "max_position_embeddings":
        return section.startswith("talker_config")
    return key not in OPTIONAL | UNUSED


@pytest.mark.parametrize("which", [0, 1])
def test_a_missing_key_is_named_with_its_file(which: int) -> None:
    """Every key of the tiny config files is required, or is in one of two lists."""
    file = ("config.json", "speech_tokenizer/config.json")[which]
    unnamed = []
    for path in keys_of(tiny_config("voice_design")[which]):
        files = tiny_config("voice_design")
        without(files[which], path)
        section, _, key = path.rpartition(".")
        said = f"{file}: {section}: " if section else f"{file}: "
        if is_required(path):
            if f"{said}Object missing required field `{key}`; correct it" not in refusal(*files):
                unnamed.append(path)
        else:
            parse(*files)
    assert not unnamed


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("model_type", "qwen3_omni", "model_type is 'qwen3_omni', expected 'qwen3_tts'"),
        ("model_type", "qwen3_tts_tokenizer_12hz", "this is the codec alone"),
        ("tokenizer_type", "qwen3_tts_tokenizer_25hz", "the 25 Hz family is not supported"),
        (
            "tts_model_type",
            "singing",
            "tts_model_type is 'singing', expected one of base, custom_voice, ",
        ),
        ("talker_config.attention_bias", True, "attention biases are not implemented"),
        ("talker_config.hidden_act", "gelu", 'hidden_act is "gelu", expected "silu"'),
        ("talker_config.use_sliding_window", True, "a windowed talker is not implemented"),
        ("talker_config.rope_scaling.type", "yarn", 'rope_scaling: type is "yarn"'),
        ("talker_config.rope_scaling.rope_type", "yarn", "scaled rotary positions"),
        (
            "talker_config.code_predictor_config.layer_types",
            ["full_attention", "sliding_attention"],
            "expected full_attention everywhere",
        ),
        ("talker_config.code_predictor_config.attention_bias", True, "attention biases"),
        (
            "talker_config.code_predictor_config.num_code_groups",
            8,
            "num_code_groups is 8, expected 16: the talker",
        ),
        ("talker_config.code_predictor_config.vocab_size", 1024, "vocab_size is 1024, but"),
        ("talker_config.num_key_value_heads", 3, "which does not divide 4 heads"),
        ("talker_config.head_dim", "32", 'head_dim is "32": Expected `int`, got `str`'),
        ("talker_config.head_dim", True, "head_dim is true: Expected `int`, got `bool`"),
        ("talker_config.head_dim", 0, "head_dim is 0: Expected `int` >= 1"),
        ("talker_config.num_hidden_layers", 2**31, "Expected `int` <= 1024"),
        ("talker_config.code_predictor_config.num_hidden_layers", 2**62, "Expected `int` <= 1024"),
        ("talker_config.rope_theta", None, "rope_theta is null: Expected `float`, got `null`"),
        ("talker_config.spk_id.ryan", 3072, "spk_id.ryan is 3072, outside the vocabulary of 3072"),
        ("talker_config.codec_eos_token_id", -1, "codec_eos_token_id is -1, outside"),
        ("talker_config.spk_is_dialect.eric", "klingon", "which codec_language_id lacks: give it"),
        ("tts_eos_token_id", 520, "tts_eos_token_id is 520, outside the vocabulary of 520"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(path: str, value: Any, said: str) -> None:
    config, codec = tiny_config()
    assert said in refusal(with_value(config, path, value), codec)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("model_type", "qwen3_tts_tokenizer_25hz", "use the 12 Hz codec"),
        ("decode_upsample_rate", 960, "decode_upsample_rate is 960, expected 1920: decoder_config"),
        ("decoder_config.num_quantizers", 8, "the codec reads 8"),
        ("decoder_config.attention_bias", True, "attention biases are not implemented"),
        ("decoder_config.hidden_act", "relu", 'hidden_act is "relu"'),
        ("decoder_config.upsample_rates", [8, 5, 4, "3"], "Expected `int`, got `str`"),
        ("decoder_config.rope_scaling", {"rope_type": "linear"}, "scaled rotary positions"),
        ("encode_downsample_rate", 960, "is 960, but encoder_config says 1920"),
        ("input_sample_rate", 16000, "is 16000, but output_sample_rate says 24000"),
        ("encoder_valid_num_quantizers", 33, "but 33 are to be used"),
        ("encoder_valid_num_quantizers", 1, "but 1 are to be used"),
        ("encoder_config.frame_rate", 25, "frame_rate is 25, expected 12.5: a frame is 1920"),
        ("encoder_config._frame_rate", 25, "_frame_rate is 25, expected 12.5"),
        ("encoder_config.audio_channels", 2, "only one channel is implemented"),
        ("encoder_config.use_causal_conv", False, "only causal convolutions"),
        ("encoder_config.pad_mode", "reflect", 'pad_mode is "reflect", expected "constant"'),
        ("encoder_config.use_conv_shortcut", True, "convolved shortcuts"),
        ("encoder_config.hidden_act", "silu", 'hidden_act is "silu", expected "gelu"'),
        ("encoder_config.attention_bias", True, "attention biases are not implemented"),
        ("encoder_config.num_key_value_heads", 2, "is 2, expected 4: shared keys"),
        ("encoder_config.codebook_dim", 64, "is 64, expected 32: vector_quant"),
    ],
)
def test_a_codec_that_is_not_implemented_is_refused(path: str, value: Any, said: str) -> None:
    config, codec = tiny_config()
    assert said in refusal(config, with_value(codec, path, value))


def test_a_codec_alone_is_read_by_the_same_rules() -> None:
    config, codec = tiny_config()
    alone = parse_codec(codec)
    assert alone.decoder == parse(config, codec).codec
    assert (alone.sample_rate, alone.encoder) == (24000, parse(config, codec).codec_encoder)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("enc_dim", 64, "enc_dim is 64, but the talker's hidden_size says 128"),
        ("mel_dim", 80, "mel_dim is 80, expected 128"),
        ("sample_rate", 16000, "sample_rate is 16000, expected 24000"),
        ("enc_channels", [32, 32, 32, 64], "expected one width for each of enc_kernel_sizes"),
        ("enc_channels", [32, 32, 32, 32, 64], "all equal but the last, their sum"),
        ("enc_dilations", "1", "Expected `array`, got `str`"),
    ],
)
def test_a_speaker_encoder_that_is_not_implemented_is_refused(
    key: str, value: Any, said: str
) -> None:
    config, codec = tiny_config("base")
    message = refusal(with_value(config, f"speaker_encoder_config.{key}", value), codec)
    assert re.search(rf"config\.json: speaker_encoder_config(: |\.){key} is", message)
    assert said in message
