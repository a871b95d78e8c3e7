"""What a sound is read from: a file, or a copy of what a pipe gives or what stands behind a tag."""

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from qwen3_tts_edge.errors import InputError, refuse_lfs_pointer
from qwen3_tts_edge.sound import id3

_CHUNKED = (b"RIFF", b"RIFX", b"RF64", b"FORM")
"""How WAV and AIFF begin: behind a tag libsndfile leaves out as much of their end."""


def opened(file: Path | BinaryIO) -> Path | BinaryIO:
    """Give what libsndfile can read: the file itself where that is possible.

    Raises:
        OSError: There is no such file.
    """
    if isinstance(file, Path):
        mode = file.stat().st_mode
        with file.open("rb") as there:  # libsndfile does not say why it cannot open a file
            if not stat.S_ISREG(mode):
                return _copy(there)  # it can be read but once
            return _copy(there) if _seek_behind_tag(there) else file
    return _copy(file) if _seek_behind_tag(file) else file


class Steady:
    """An open file as libsndfile reads it: where a seek cannot go, it stays.

    Damaged headers lead to before the beginning. libsndfile sees that it is elsewhere, but whatever
    is raised below it, Python prints.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there, or nowhere."""
        with suppress(OSError, ValueError):
            self._file.seek(offset, whence)
        return self._file.tell()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def refuse_stand_in(file: Path | BinaryIO, name: str) -> None:
    """Refuse what lies in the place of a sound that was not brought along.

    Raises:
        InputError: It is empty, or a Git LFS pointer.
    """
    if isinstance(file, Path):
        with file.open("rb") as there:
            head = there.read(32)
    else:
        file.seek(0)
        head = file.read(32)
    if not head:
        raise InputError(f"{name} is empty: it has no bytes", "copy or record it again")
    refuse_lfs_pointer(head, name, InputError)


def _copy(file: BinaryIO) -> BinaryIO:
    copy: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  (gone with the sound)
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


def _seek_behind_tag(file: BinaryIO) -> bool:
    """Tell whether a WAV or AIFF file stands behind a tag; if so, seek there, else to the start."""
    if length := id3.tag_length(file.read(id3.HEAD)):
        file.seek(length)
        if file.read(4) in _CHUNKED:
            file.seek(-4, os.SEEK_CUR)
            return True
    file.seek(0)
    return False
