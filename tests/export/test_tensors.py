"""The list of tensors is that of the official classes, at tiny and at released sizes."""

import math
from typing import Any

import pytest
import torch

from oracle.official import _package
from qwen3_tts_export.checkpoint.config_files import parse_checkpoint, parse_codec
from qwen3_tts_export.checkpoint.expected import Shape, expected_codec_tensors, expected_tensors
from qwen3_tts_export.checkpoint.spec import load_spec, spec_names
from released import released_json
from tiny import tiny_config

Json = dict[str, Any]

TINY = [
    (kind, predictor)
    for kind in ("custom_voice", "voice_design", "base")
    for predictor in ("same", "narrow")
]
CHECKPOINTS = [name for name in spec_names() if load_spec(name).codec is not None]


def official_shapes(config: Json) -> dict[str, Shape]:
    classes = _package().core.models
    with torch.device("meta"):
        model = classes.Qwen3TTSForConditionalGeneration(classes.Qwen3TTSConfig(**config))
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def official_codec_shapes(config: Json) -> dict[str, Shape]:
    _package()
    from qwen_tts.core import tokenizer_12hz

    modeling = tokenizer_12hz.modeling_qwen3_tts_tokenizer_v2
    with torch.device("meta"):
        model = modeling.Qwen3TTSTokenizerV2Model(modeling.Qwen3TTSTokenizerV2Config(**config))
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(("kind", "predictor"), TINY)
def test_tiny_checkpoints_have_the_official_tensors(kind: Any, predictor: Any) -> None:
    config, codec = tiny_config(kind, predictor)
    assert expected_tensors(parse_checkpoint(config, codec, {})) == official_shapes(config)
    assert expected_codec_tensors(parse_codec(codec)) == official_codec_shapes(codec)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_released_sizes_have_the_official_tensors(name: str) -> None:
    config, codec, generation = released_json(name)
    expected = expected_tensors(parse_checkpoint(config, codec, generation))
    assert expected == official_shapes(config)


def test_the_released_codec_has_the_official_tensors() -> None:
    _, codec, _ = released_json(CHECKPOINTS[0])
    expected = expected_codec_tensors(parse_codec(codec))
    assert expected == official_codec_shapes(codec)
    assert len(expected) == 496
    assert 4 * sum(math.prod(shape) for shape in expected.values()) == 682_229_764


def test_speaker_encoder_settings_left_out_are_the_official_defaults() -> None:
    config, codec, generation = released_json("1.7b-base")
    config["speaker_encoder_config"] = {"enc_dim": 2048, "sample_rate": 24000}
    parsed = parse_checkpoint(config, codec, generation)
    assert expected_tensors(parsed) == official_shapes(config)


def test_only_a_narrow_predictor_has_a_projection() -> None:
    name = "talker.code_predictor.small_to_mtp_projection.weight"
    narrow = expected_tensors(parse_checkpoint(*tiny_config(predictor="narrow"), {}))
    same = expected_tensors(parse_checkpoint(*tiny_config(predictor="same"), {}))
    assert narrow[name] == (64, 128)
    assert name not in same
