"""What people give as a path becomes one, or is refused by its name."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anna import profile
from homeless import without_a_home
from qwen3_tts_edge import Synthesizer, Voice
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.codec.code_file import CodeFile
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.paths import expanded
from qwen3_tts_edge.sound.reading import open_sound
from qwen3_tts_edge.sound.writing import AudioFile, save
from qwen3_tts_edge.voices import library
from qwen3_tts_edge.voices.reference import read_reference
from tiny import EDGE_VOICE


def test_a_tilde_is_a_home_or_a_letter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~") == tmp_path
    assert expanded(Path("~/a")) == tmp_path / "a"
    for name in ("~$letter.txt", "~nobody-of-that-name/a.wav", "a~", "a/~/b"):
        assert expanded(name) == Path(name)


def test_who_has_no_home_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    without_a_home(monkeypatch)
    with pytest.raises(InputError, match="no home folder; give path without a ~ at its beginning"):
        expanded("~/a")
    for variable in (library.VARIABLE, "HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InputError, match=f"no home folder; set {library.VARIABLE} to a folder"):
        library.folder()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "is empty; give a path"),
        (" ", "is empty; give a path"),
        ("a\0b", r"is 'a\\x00b'; expected a path, which has no null character"),
        (
            "https://a.b/c.wav",
            "is 'https://a.b/c.wav'; expected a path: no address is fetched; down",
        ),
        (
            "https://huggingface.co/a/b",
            "is .*: no address is fetched; name it as the hub does, a/b",
        ),
        ("s3://a/c.wav", "is 's3://a/c.wav'; expected a path: no address is fetched"),
        (None, "is None; expected a path"),
        (b"a.wav", "is b'a.wav'; expected a path"),
        (["a.wav"], r"is \['a.wav'\]; expected a path"),
    ],
)
def test_what_is_no_path_is_refused_by_name(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^ref_audio {message}"):
        expanded(given, "ref_audio")


@pytest.mark.skipif(os.name != "posix", reason="needs names of any bytes")
def test_a_name_in_another_encoding_is_refused_only_where_a_library_opens_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9.wav")
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 24000).astype(np.float32)
    samples[:8000] = 0  # speech stands out
    save(name, samples, 24000)
    assert read_reference(name).name == "caf?.wav"
    with pytest.raises(InputError, match=r"^bundle is 'caf.*'; expected a path in UTF-8; rename"):
        Synthesizer.open(name)
    with pytest.raises(InputError, match="expected a path that this system can write; rename it"):
        save("a\ud800.wav", samples, 24000)


@pytest.mark.parametrize("given", ["", "a\0.wav"])
def test_every_door_refuses_them(given: str) -> None:
    doors = (Synthesizer.open, Voice.load, read_reference, lambda path: AudioFile(path, 24000))
    for door in doors:
        with pytest.raises(InputError, match=r"is empty; give a path|no null character"):
            door(given)  # type: ignore[operator]


_TO_READ = (Voice.load, CodeFile.load, read_reference, lambda path: open_sound(path, path))
_TO_WRITE = (
    lambda path: AudioFile(path, 24000),
    profile().save,
    CodeFile.of(np.zeros((1, 16), np.int64), 1, Manifest.load(EDGE_VOICE / "int8")).save,
)


@pytest.mark.parametrize("end", ["/", "//", "/."])
@pytest.mark.parametrize("door", [*_TO_READ, *_TO_WRITE])
def test_a_folder_is_asked_for_with_a_slash_and_gets_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: Callable[[str], object], end: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if there := door in _TO_READ:
        Path("a.wav").touch()
    wanted = rf"'a\.wav{re.escape(end)}'; expected the path of a file, which .*; leave the slash"
    with pytest.raises(InputError, match=wanted):
        door(f"a.wav{end}")
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"] * there


def test_a_name_that_begins_with_a_tilde_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save("~$a.wav", np.zeros(9, np.float32), 24000)
    assert [path.name for path in tmp_path.iterdir()] == ["~$a.wav"]
