"""The manifest says of a checkpoint what the runtime needs, in the form in which it looks it up."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwen3_tts_edge.bundle.manifest import Manifest, UtteranceLimits
from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.bundle.description import describe
from qwen3_tts_export.checkpoint.opening import Checkpoint

Changed = Callable[..., Checkpoint]


@pytest.fixture
def changed(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> Changed:
    """Return a function that opens a tiny checkpoint with other values in its config.json."""

    def make(kind: str = "custom_voice", *, size: str = "1b7", **talker: Any) -> Checkpoint:
        folder = shutil.copytree(tiny_checkpoint(kind), tmp_path / "checkpoint")
        values = json.loads((folder / "config.json").read_text())
        values["tts_model_size"] = size
        values["talker_config"] |= talker
        (folder / "config.json").write_text(json.dumps(values))
        return Checkpoint.open(folder)

    return make


def described(checkpoint: Checkpoint) -> Manifest:
    folder = checkpoint.folder.with_name("bundle")
    folder.mkdir()
    return describe(checkpoint, folder, "fp32", "ort", {})


def test_speakers_keep_their_spelling_and_the_rest_is_folded(changed: Changed) -> None:
    manifest = described(
        changed(
            codec_language_id={"English": 2050, "sichuan_dialect": 2062},
            spk_id={"MyVoice": 3000, "Eric ": 2875, "小明": 3001},
            spk_is_dialect={"MyVoice": False, "Eric ": "Sichuan_Dialect"},
        )
    )
    assert manifest.languages == {"english": 2050, "sichuan_dialect": 2062}
    assert manifest.speakers == {"MyVoice": 3000, "Eric": 2875, "小明": 3001}
    assert manifest.dialects == {"Eric": "sichuan_dialect"}


@pytest.mark.parametrize(
    ("key", "ids", "said"),
    [
        ("spk_id", {"Anna": 3000, "anna": 3001}, "the speakers 'Anna' and 'anna' differ only in"),
        ("codec_language_id", {"English": 2050, "ENGLISH": 2051}, "the languages 'English' and"),
    ],
)
def test_two_names_that_one_could_not_tell_apart_are_refused(
    changed: Changed, key: str, ids: dict[str, int], said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        changed(**{key: ids}, spk_is_dialect={})


@pytest.mark.parametrize(
    ("kind", "size", "takes"),
    [
        ("custom_voice", "1b7", True),
        ("custom_voice", "0b6", False),
        ("custom_voice", "tiny", False),
        ("voice_design", "1b7", True),
        ("voice_design", "tiny", True),
        ("base", "1b7", False),
    ],
)
def test_who_takes_an_instruction(changed: Changed, kind: str, size: str, takes: bool) -> None:
    assert described(changed(kind, size=size)).takes_instruct is takes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("tiny", UtteranceLimits(most_seconds=8.0, most_sentences=1)),
        ("0b6", UtteranceLimits(most_seconds=20.0, most_sentences=None)),
        ("1b7", UtteranceLimits(most_seconds=20.0, most_sentences=None)),
    ],
)
def test_how_much_is_said_in_one_go(changed: Changed, size: str, expected: UtteranceLimits) -> None:
    assert described(changed(size=size)).utterance == expected
