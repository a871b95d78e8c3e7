"""The user's voices: profiles in one folder, by name.

The folder is `voices` among this program's data, where the platform keeps such data, or what
QWEN3_TTS_EDGE_VOICES says.
"""

import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_data_path

from qwen3_tts_edge import locks
from qwen3_tts_edge.atomic import sweep
from qwen3_tts_edge.errors import InputError, quoted
from qwen3_tts_edge.paths import folder_of
from qwen3_tts_edge.voices.profile import ENDING

VARIABLE = "QWEN3_TTS_EDGE_VOICES"
_NAME = re.compile(r"\w[\w.-]{0,63}")
_LONGEST = 200
"""Bytes of a name: its file, while it is written, has a longer one, and 255 are the most."""


def folder() -> Path:
    """Give the folder where voices are kept; it may not exist yet.

    Raises:
        InputError: It would be in the home folder, and this user has none, or it is a file.
    """
    return folder_of(VARIABLE, lambda: user_data_path("qwen3-tts-edge", appauthor=False) / "voices")


def path_of(name: str) -> Path:
    """Give the file of a voice, whether it exists or not.

    Raises:
        InputError: No file can have that name.
    """
    if not _is_name(name) or len(os.fsencode(name)) > _LONGEST:
        raise InputError(
            f"{quoted(name)} cannot name a voice",
            "use up to 64 letters, digits, -, _ and ., a letter or digit first",
        )
    return folder() / f"{name}{ENDING}"


def find(name: str) -> Path:
    """Find the file of a voice, by its name in any letter case.

    Raises:
        InputError: There is no such voice; says which there are.
    """
    path = path_of(_spelt(name) or name)
    if not path.is_file():
        there = ", ".join(names()) or "none yet"
        raise InputError(f"there is no voice {quoted(name)} in {folder()}", f"there are: {there}")
    return path


def names() -> list[str]:
    """List the voices by name, sorted."""
    if not folder().is_dir():
        return []
    files = (file.name for file in folder().iterdir() if file.name.endswith(ENDING))
    found = (name.removesuffix(ENDING) for name in files)
    return sorted(name for name in found if _is_name(name))


def place_for(name: str, *, replace: bool, way: str = "--replace") -> Path:
    """Give the file for a new voice, and make its folder.

    Args:
        name: Of the voice.
        replace: Whether a voice of that very name is replaced.
        way: How that is asked for where the user stands.

    Raises:
        InputError: The name is taken or no name.
        OSError: The folder cannot be made.
    """
    path, there = path_of(name), _spelt(name)
    if there is not None and not (replace and there == name):
        by_name = "" if there == name else f", by its name {there}"
        raise InputError(
            f"there is a voice {there!r} already",
            f"choose another name, or replace it with {way}{by_name}",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def held(name: str, *, replace: bool, way: str = "--replace") -> Iterator[Path]:
    """Give the file for a new voice as `place_for` does, and hold the name until it is written.

    Whoever else makes a voice of that name waits, and then finds that it is taken. Arguments and
    errors are those of `place_for`.
    """
    path = path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locks.turn(path.with_name(folded(path.name)), "a voice of that name"):
        sweep(path)
        yield place_for(name, replace=replace, way=way)


def folded(name: str) -> str:
    """Spell a name as it is compared: a letter with a mark may be one character, or two."""
    return unicodedata.normalize("NFC", name).lower()


def _spelt(name: str) -> str | None:
    """The name of a voice that is kept, as it was given to it; None where there is none."""
    there = names()
    if name in there:
        return name
    return next((each for each in there if folded(each) == folded(name)), None)


def _is_name(name: str) -> bool:
    """Tell whether a voice may be called so. Marks belong to the letters that they stand on."""
    letters = "".join(each for each in name if unicodedata.category(each)[0] != "M")
    return name[:1] == letters[:1] and _NAME.fullmatch(letters) is not None
