"""The manifest says of a checkpoint what the runtime needs, in the form in which it looks it up."""

import json
import re
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

    def make(
        kind: str = "custom_voice", *, size: str | float | None = "1b7", **talker: Any
    ) -> Checkpoint:
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
        ("custom_voice", "1.7B", True),
        ("custom_voice", "4b", True),
        ("custom_voice", "0.6B", False),
        ("custom_voice", 0.6, False),
    ],
)
def test_who_takes_an_instruction(
    changed: Changed, kind: str, size: str | float, takes: bool
) -> None:
    assert described(changed(kind, size=size)).takes_instruct is takes


@pytest.mark.parametrize("size", ["1b7", "1.7B", "1.7b", "1B7", 1.7, "Qwen3-TTS-12Hz-1.7B"])
def test_a_size_is_called_as_published(changed: Changed, size: str | float) -> None:
    assert described(changed(size=size)).checkpoint.model_size == "1b7"


def test_a_size_may_be_missing_where_it_says_nothing(changed: Changed) -> None:
    assert described(changed("base", size=None)).checkpoint.model_size == ""


def test_a_size_that_says_whether_instructions_are_taken_may_not_be_missing(
    changed: Changed,
) -> None:
    with pytest.raises(CheckpointError, match=r"tts_model_size is missing, .* make it 0b6 or 1b7"):
        changed(size=None)


@pytest.mark.parametrize("name", ["", " ", "\u200b", "\n"])
@pytest.mark.parametrize("key", ["spk_id", "codec_language_id"])
def test_a_name_that_nobody_can_type_is_refused(changed: Changed, key: str, name: str) -> None:
    said = rf"config\.json: one of the (speakers|languages) is called {re.escape(repr(name))}, and"
    with pytest.raises(CheckpointError, match=said):
        changed(**{key: {name: 3000}}, spk_is_dialect={})


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
