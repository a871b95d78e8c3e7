"""The specs of models/: each is self-consistent, and an official name is held to its spec.

The released weights are not here. Their place is taken by files with the full header and no data
(holes), which cost nothing and look the same to everything that does not read a tensor.
"""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from qwen3_tts_edge.errors import CheckpointError, InputError
from qwen3_tts_export.checkpoint.config_files import parse_checkpoint, parse_codec
from qwen3_tts_export.checkpoint.expected import Shape, expected_codec_tensors, expected_tensors
from qwen3_tts_export.checkpoint.opening import TOKENIZER_FILES, Checkpoint, CodecCheckpoint
from qwen3_tts_export.checkpoint.random import released_json
from qwen3_tts_export.checkpoint.spec import check, find_spec, load_spec, spec_names
from tiny import EDGE_VOICE

TinyCheckpoint = Callable[..., Path]
CODEC = "qwen3-tts-tokenizer-12hz"
CHECKPOINTS = [name for name in spec_names() if name != CODEC]


def write_holes(file: Path, tensors: Mapping[str, Shape], dtype: torch.dtype) -> None:
    """Write a safetensors file whose data are all holes."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in tensors.items():
        start, end = end, end + math.prod(shape) * dtype.itemsize
        code = {torch.bfloat16: "BF16", torch.float32: "F32"}[dtype]
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        out.truncate(8 + len(text) + end)


def write_codec(folder: Path, config: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = expected_codec_tensors(parse_codec(config))
    write_holes(folder / "model.safetensors", tensors, torch.float32)


def write_released(
    folder: Path, name: str, edit: Callable[[dict[str, Any]], Any] = lambda _: None
) -> Path:
    """Write a folder with the shapes of a released checkpoint, after `edit` of its config."""
    config, codec, generation = released_json(name)
    edit(config)
    write_codec(folder / "speech_tokenizer", codec)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text(json.dumps(generation))
    for file in TOKENIZER_FILES:
        (folder / file).symlink_to(EDGE_VOICE / file)
    tensors = expected_tensors(parse_checkpoint(config, codec, generation))
    write_holes(folder / "model.safetensors", tensors, torch.bfloat16)
    return folder


def test_there_is_a_spec_for_each_released_checkpoint_and_the_codec() -> None:
    assert spec_names() == [
        "qwen3-tts-12hz-0.6b-base",
        "qwen3-tts-12hz-0.6b-customvoice",
        "qwen3-tts-12hz-1.7b-base",
        "qwen3-tts-12hz-1.7b-customvoice",
        "qwen3-tts-12hz-1.7b-voicedesign",
        "qwen3-tts-tokenizer-12hz",
    ]


@pytest.mark.parametrize("name", spec_names())
def test_a_spec_is_found_by_the_hub_id_it_names(name: str) -> None:
    spec = load_spec(name)
    found = find_spec(spec.hub)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_of_the_released_shapes_passes(tmp_path: Path, name: str) -> None:
    folder = write_released(tmp_path / load_spec(name).hub.split("/")[1], name)
    checkpoint = Checkpoint.open(folder)
    assert checkpoint.config.talker.num_layers == 28
    assert checkpoint.config.codec.decoder_dim == 1536
    encoder = checkpoint.config.speaker_encoder
    said = load_spec(name).config.get("speaker_encoder_config")
    assert (encoder is None) == (said is None)
    if encoder is not None and said is not None:
        assert (encoder.vector_size, encoder.sample_rate) == (said["enc_dim"], said["sample_rate"])


def test_the_codec_alone_passes(tmp_path: Path) -> None:
    folder = tmp_path / "Qwen3-TTS-Tokenizer-12Hz"
    write_codec(folder, released_json("0.6b-base")[1])
    assert CodecCheckpoint.open(folder).config.decoder.codebook_dim == 512


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("talker_config", "num_hidden_layers"), 27),
        (("talker_config", "intermediate_size"), 3200),
        (("talker_config", "rope_theta"), 10000.0),
        (("talker_config", "code_predictor_config", "rms_norm_eps"), 1e-5),
        (("tts_model_size",), "1b7"),
        (("tts_model_type",), "voice_design"),
    ],
)
def test_a_mismatch_names_the_field_and_both_values(
    tmp_path: Path, path: tuple[str, ...], value: Any
) -> None:
    def edit(config: dict[str, Any]) -> None:
        for key in path[:-1]:
            config = config[key]
        config[path[-1]] = value

    folder = write_released(tmp_path / "qwen3-tts-12hz-0.6b-customvoice", "0.6b-customvoice", edit)
    expected: Any = load_spec("0.6b-customvoice").config
    for key in path:
        expected = expected[key]
    with pytest.raises(CheckpointError) as raised:
        Checkpoint.open(folder)
    assert f"{'.'.join(path)} is {value!r}, spec qwen3-tts-12hz-0.6b-customvoice expects" in str(
        raised.value
    )
    assert f"expects {expected!r};" in str(raised.value)


def test_another_name_is_held_to_its_own_config_alone(tmp_path: Path) -> None:
    def fewer_layers(config: dict[str, Any]) -> None:
        config["talker_config"]["num_hidden_layers"] = 27

    folder = write_released(tmp_path / "my-fine-tune", "0.6b-customvoice", fewer_layers)
    checkpoint = Checkpoint.open(folder)
    assert checkpoint.config.talker.num_layers == 27
    with pytest.raises(CheckpointError, match="num_hidden_layers is 27"):
        check(load_spec("0.6b-customvoice"), checkpoint.config_json, checkpoint.talker, folder)


def test_the_count_of_tensors_is_held_to_the_spec(tmp_path: Path) -> None:
    folder = write_released(tmp_path / "qwen3-tts-12hz-0.6b-customvoice", "0.6b-customvoice")
    tensors = expected_tensors(parse_checkpoint(*released_json("0.6b-customvoice")))
    extra = {**tensors, "talker.model.lora_A": (8, 8)}
    write_holes(folder / "model.safetensors", extra, torch.bfloat16)
    with pytest.raises(CheckpointError, match=r"talker\.\* has 403 tensors, spec .* expects 402"):
        Checkpoint.open(folder)


def test_a_tiny_checkpoint_cannot_bear_an_official_name(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint
) -> None:
    folder = shutil.copytree(tiny_checkpoint(), tmp_path / "Qwen3-TTS-12Hz-0.6B-CustomVoice")
    with pytest.raises(CheckpointError, match="download them again or rename the folder"):
        Checkpoint.open(folder)


def test_an_unknown_spec_lists_the_known_ones() -> None:
    assert find_spec("edge-voice") is None
    with pytest.raises(
        InputError, match=r"no spec is called '0\.8b'; choose one of qwen3-tts-12hz"
    ):
        load_spec("0.8b")


def test_short_names_are_enough() -> None:
    assert load_spec("1.7b-voicedesign").hub == "Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign"


@pytest.mark.parametrize("name", spec_names())
def test_the_readme_has_a_row_for_each_spec(name: str) -> None:
    readme = (EDGE_VOICE.parent / "README.md").read_text(encoding="utf-8")
    assert f"| [{name}]({name}.toml) |" in readme
