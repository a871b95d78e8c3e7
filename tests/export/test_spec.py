"""The specs of models/: each is self-consistent, and an official name is held to its spec.

The released weights are not here. Their place is taken by files with the full header and no data
(holes), which cost nothing and look the same to everything that does not read a tensor.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwen3_tts_edge.errors import CheckpointError, InputError
from qwen3_tts_export.checkpoint.config_files import parse_checkpoint
from qwen3_tts_export.checkpoint.expected import Shape, expected_tensors
from qwen3_tts_export.checkpoint.official_name import hold
from qwen3_tts_export.checkpoint.opening import Checkpoint, CodecCheckpoint
from qwen3_tts_export.checkpoint.safetensors_header import Header, TensorEntry
from qwen3_tts_export.checkpoint.spec import find_spec, load_spec, spec_names
from qwen3_tts_export.checkpoint.weights import TensorFile
from released import CODEC, Json, released_json, write_released
from tiny import EDGE_VOICE

TinyCheckpoint = Callable[..., Path]
CHECKPOINTS = [name for name in spec_names() if name != CODEC]


def test_there_is_a_spec_for_each_released_checkpoint_and_the_codec() -> None:
    assert list(spec_names()) == [
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
def test_a_checkpoint_as_published_passes(
    tmp_path: Path, released_tokenizer: Path, name: str
) -> None:
    folder = tmp_path / load_spec(name).hub.split("/")[1]
    checkpoint = Checkpoint.open(write_released(folder, name, released_tokenizer))
    assert checkpoint.config.talker.num_layers == 28
    assert checkpoint.config.codec.decoder_dim == 1536
    encoder = checkpoint.config.speaker_encoder
    if name.endswith("-base"):
        assert encoder is not None
        assert encoder.vector_size == checkpoint.config.talker.hidden_size
    else:
        assert encoder is None


def test_the_codec_alone_passes(tmp_path: Path, released_tokenizer: Path) -> None:
    whole = write_released(tmp_path / "whole", "0.6b-base", released_tokenizer)
    folder = (whole / "speech_tokenizer").rename(tmp_path / "Qwen3-TTS-Tokenizer-12Hz")
    assert CodecCheckpoint.open(folder).config.decoder.codebook_dim == 512


def held(edit: Callable[[Json], Any], **more: Shape) -> None:
    """Hold a config after `edit`, and weights of which there are only names and shapes."""
    config, codec, generation = released_json("0.6b-customvoice")
    tensors = expected_tensors(parse_checkpoint(config, codec, generation)) | more
    file = Path("model.safetensors")
    entries = {name: TensorEntry(file, "BF16", shape, 0, 0) for name, shape in tensors.items()}
    edit(config)
    weights = TensorFile(Path(), {file: Header(b"", entries)})
    hold(load_spec("0.6b-customvoice"), config, weights, Path())


def with_value(path: str, value: Any) -> Callable[[Json], Any]:
    *parents, key = path.split(".")

    def edit(config: Json) -> None:
        for parent in parents:
            config = config[parent]
        config[key] = value

    return edit


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("talker_config.num_hidden_layers", 27, 28),
        ("talker_config.rope_theta", 10000.0, 1000000),
        ("talker_config.code_predictor_config.rms_norm_eps", 1e-5, 1e-6),
        ("tts_model_size", "1b7", "0b6"),
        ("im_end_token_id", 151643, 151645),
        ("talker_config.codec_eos_token_id", 2151, 2150),
        ("talker_config.codec_language_id", {"english": 2050}, None),
        ("talker_config.spk_id", {"anna": 3000}, None),
        ("talker_config.spk_is_dialect", None, None),
    ],
)
def test_a_mismatch_names_the_field_and_both_values(path: str, value: Any, expected: Any) -> None:
    with pytest.raises(CheckpointError) as raised:
        held(with_value(path, value))
    said = str(raised.value)
    assert f"config.json: {path} is {value or {}!r}, spec qwen3-tts-12hz-0.6b-custom" in said
    assert f"expects {expected!r}; these are not" in said or expected is None
    assert "download them again or rename the folder" in said


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("transformers_version", "5.24.0"),
        ("talker_config.code_predictor_config.dtype", "bfloat16"),
        ("talker_config.code_predictor_config.max_length", 40),
        ("talker_config.pad_token_id", 2148),
    ],
)
def test_what_nothing_reads_may_differ(path: str, value: Any) -> None:
    held(with_value(path, value))


def test_the_count_of_tensors_is_held_to_the_spec() -> None:
    with pytest.raises(CheckpointError, match=r"talker\.\* has 403 tensors, spec .* expects 402"):
        held(lambda _: None, **{"talker.model.lora_A": (8, 8)})


def test_a_tiny_checkpoint_cannot_bear_an_official_name(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint
) -> None:
    tiny = shutil.copytree(tiny_checkpoint(), tmp_path / "Qwen3-TTS-12Hz-0.6B-CustomVoice")
    assert Checkpoint.open(tiny.rename(tmp_path / "my-fine-tune")).config.talker.num_layers == 3
    official = (tmp_path / "my-fine-tune").rename(tiny)
    with pytest.raises(CheckpointError, match="download them again or rename the folder"):
        Checkpoint.open(official)


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
