"""`check` says what a checkpoint is, and all that does not fit."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edits import edit_json, edit_tensors
from qwen3_tts_export import cli
from qwen3_tts_export.checkpoint.checking import _look, check
from qwen3_tts_export.checkpoint.spec import all_files, load_spec
from released import CODEC, Json, write_released
from tiny import EDGE_VOICE

NAME = "1.7b-customvoice"
SPEC = load_spec(NAME)
PUBLISHED = {
    name: all_files(SPEC)[name].sha256
    for name in (
        *("model.safetensors", "speech_tokenizer/model.safetensors", "vocab.json", "merges.txt"),
    )
}
"""Hashes of files that are not at hand, as a hub would say them."""

Look = Callable[..., Any]


@pytest.fixture
def look(tmp_path: Path, released_tokenizer: Path) -> Look:
    def make(edit: Callable[[Json], Any] = lambda _: None, **said: str) -> Any:
        folder = write_released(tmp_path / "my-voice", NAME, released_tokenizer, edit)
        return _look(folder, None, said, tmp_path.resolve(), lambda *_: None)

    return make


def test_a_published_revision_is_known_by_its_hashes_whatever_its_folder(look: Look) -> None:
    found = look(**PUBLISHED)
    assert found.kind == f"{SPEC.hub} as published, revision {SPEC.revision}"
    assert (found.name, found.problems) == ("my-voice", ())
    assert found.files.pop("config.json") == f"that of {SPEC.hub}"
    assert found.files.pop("model.safetensors") == f"that of {SPEC.hub}"
    assert set(found.files.values()) == {"as published"}


def test_published_weights_beside_other_files_are_a_copy(look: Look) -> None:
    found = look(lambda config: config.update(note="mine"), **PUBLISHED)
    assert found.kind == f"the weights of {SPEC.hub} beside other files: config.json"
    assert found.files["config.json"] == "not a published file"
    assert found.problems == ()


def test_a_fine_tune_is_told_by_its_shapes(look: Look) -> None:
    trained = {**PUBLISHED, "model.safetensors": "0" * 64}
    found = look(lambda config: config["talker_config"].update(spk_id={"Anna": 3000}), **trained)
    assert found.kind == (
        "weights in the shapes of Qwen/Qwen3-TTS-12Hz-1.7B, but others: trained, or saved again,"
        " custom_voice (Anna), stored as BF16 in 1 file"
    )
    assert found.problems == ()


def test_the_codec_alone_is_known(tmp_path: Path, released_tokenizer: Path) -> None:
    whole = write_released(tmp_path / "my-voice", NAME, released_tokenizer)
    spec = load_spec(CODEC)
    said = {"model.safetensors": spec.files["model.safetensors"].sha256}
    found = _look(whole / "speech_tokenizer", None, said, tmp_path.resolve(), lambda *_: None)
    assert found.kind == f"{spec.hub} as published, revision {spec.revision}"
    assert found.problems == ()


def test_all_that_does_not_fit_is_said_at_once(copy: Path) -> None:
    edit_json(copy / "config.json", im_end_token_id=513)
    (copy / "speech_tokenizer" / "model.safetensors").unlink()
    edit_tensors(copy / "model.safetensors", lambda t: t.pop("talker.codec_head.weight"))
    found = check(str(copy))
    assert found.kind == "not a checkpoint that can be read"
    first, second, third = found.problems
    assert "1 of 172 tensors are missing, first talker.codec_head.weight" in first
    assert second.startswith("speech_tokenizer/model.safetensors is missing")
    assert "of <|im_end|>, config.json's im_end_token_id says 513" in third


def test_weights_that_are_no_numbers_do_not_fit(copy: Path) -> None:
    name = "talker.codec_head.weight"
    edit_tensors(copy / "model.safetensors", lambda t: t[name].view(-1)[:1].fill_(math.nan))
    (problem,) = check(str(copy)).problems
    assert f"1 of the {3072 * 128} numbers of {name} are NaN or infinite" in problem


def test_how_far_it_is_is_told_to_the_end(copy: Path) -> None:
    told: list[tuple[str, float]] = []
    assert not check(str(copy), report=lambda *so_far: told.append(so_far)).problems
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] < 1
    assert len([share for what, share in told if what == "reading the weights"]) > 100


def test_a_quantised_copy_is_no_checkpoint(copy: Path) -> None:
    edit_json(copy / "config.json", quantization={"bits": 4})
    found = check(str(copy))
    assert found.kind == "what was made of a checkpoint, and is none any more"
    assert "config.json: this is a copy quantised by MLX (quantization)" in found.problems[0]


def run(*args: object) -> Any:
    return CliRunner().invoke(cli.commands, ["check", *map(str, args)])


def test_the_command_says_it_and_ends_with_one_where_it_does_not_fit(copy: Path) -> None:
    done = run(EDGE_VOICE)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("edge-voice: weights in shapes of their own, custom_voice (heart, ")
    assert "  config.json                                not a published file" in lines
    assert lines[-1] == "fits: it can be exported"
    config = json.loads((copy / "config.json").read_text())
    del config["talker_config"]["rope_theta"]
    (copy / "config.json").write_text(json.dumps(config))
    done = run(copy)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-2] == "does not fit:"
    assert "config.json: talker_config: Object missing required field `rope_theta`" in done.stdout


def test_the_command_takes_a_codec_from_elsewhere(copy: Path, tmp_path: Path) -> None:
    codec = (copy / "speech_tokenizer").rename(tmp_path / "codec")
    assert "name one with --codec" in run(copy).stdout
    assert run(copy, "--codec", codec).exit_code == 0
