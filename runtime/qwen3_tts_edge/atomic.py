"""Files and folders that are written whole or not at all, by one process at a time.

What is written grows beside its place under another name, and is moved there when it is complete.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qwen3_tts_edge import locks
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.paths import expanded

PART = ".part"
"""How the name ends of what is written and not yet in its place."""

_LONGEST_NAME = 200
"""Bytes. File systems take 255, and what stands beside a file for a while has a longer name."""

_NO_PLACE = (errno.ENOENT, errno.EACCES, errno.EPERM)
"""Nothing can be made there: it is another's, or the system's own, as /proc is."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk that is full, or of a limit to what may be written."""


@contextmanager
def whole_or_nothing(path: str | Path) -> Iterator[Path]:
    """Give a name to write a file under, beside its place; move it there at the end.

    After an error, a signal that ends the program or Ctrl-C nothing is left, and what was there
    before is as it was. What a process that was killed has left is removed by whoever writes there
    next; who writes there now is waited for. An error of writing names the file that was asked for.
    A symbolic link stays and the file it leads to is replaced; a replaced file's mode is kept. A
    pipe or a device cannot be replaced: its own name is given.

    Args:
        path: The file's place; a `~` at its beginning is the home folder.

    Raises:
        InputError: The place is called as only a folder can be.
        OSError: The place is a folder, or the file cannot be moved there.
    """
    asked = expanded(path, file=True)
    mode = None
    with suppress(FileNotFoundError):  # it may be removed just now
        mode = asked.stat().st_mode if asked.exists() else None
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if mode is not None and not stat.S_ISREG(mode):
        with _named(asked, asked):
            yield asked
        return
    place = Path(os.path.realpath(asked))
    with _aside(place) as part:
        yield part
        if mode is not None:
            part.chmod(stat.S_IMODE(mode))
        part.replace(place)


@contextmanager
def whole_folder_or_nothing(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a new folder to write in, beside its place; move it there at the end.

    As `whole_or_nothing`. Folders above it are made, and removed if nothing comes to stand in them.

    Args:
        folder: Its place.
        replace: Whether what is there then is replaced. Else it is an error that something is
            there, at the beginning or because somebody else was faster.

    Raises:
        InputError: Something is there.
        OSError: A folder cannot be made or replaced.
    """
    if not replace:
        check_new_folder(folder)
    above = [each for each in folder.parents if not each.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _aside(folder) as part:
            if folder.exists() and not replace:
                raise _already_exists(folder)
            part.mkdir()
            yield part
            _replace(folder, part)
    finally:
        for each in above:
            with suppress(OSError):  # there is something in it
                each.rmdir()


def check_new_folder(folder: Path) -> None:
    """Refuse a place where no new folder can be, for who has long work to do before.

    Raises:
        InputError: Something is there, or it would lie in a file.
        OSError: Nothing can be written there.
    """
    if folder.exists():
        with suppress(OSError):
            sweep(folder.resolve())
        raise _already_exists(folder)
    above = next(each for each in folder.absolute().parents if each.exists())
    if not above.is_dir():
        raise InputError(f"{above} is not a folder", "choose another place")
    if not os.access(above, os.W_OK):
        read_only = hasattr(os, "statvfs") and os.statvfs(above).f_flag & os.ST_RDONLY
        number = errno.EROFS if read_only else errno.EACCES
        raise OSError(number, os.strerror(number), str(folder))


def _replace(folder: Path, part: Path) -> None:
    """Put `part` in the place of a folder, which is moved away: a kill leaves no half."""
    old = _replaced(part)
    if folder.exists():
        folder.rename(old)
    try:
        part.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise


def _already_exists(folder: Path) -> InputError:
    return InputError(f"{folder} already exists", "remove it or choose another place")


def sweep(place: Path) -> None:
    """Remove what a killed process has left beside a place; who writes there now is waited for.

    For those who need not write. Who writes sweeps anyway.

    Raises:
        OSError: It cannot be removed.
    """
    with _aside(place):
        pass


@contextmanager
def _aside(place: Path) -> Iterator[Path]:
    name = place.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    part = place.with_name(f"{name}{PART}")
    with _named(place, part), locks.turn(part):
        _remove(part)  # of a process that was killed
        try:
            yield part
        finally:
            _remove(part)


@contextmanager
def _named(place: Path, part: Path) -> Iterator[None]:
    """Let an error of writing name `place`: one in `part`, or of a write, which names no file."""
    try:
        yield
    except OSError as error:
        found = error.filename
        unnamed = found is None and error.errno in _NO_ROOM
        if unnamed or (isinstance(found, str) and part in (Path(found), *Path(found).parents)):
            error.filename = str(place)
            if error.errno in _NO_PLACE:
                error.strerror = f"{error.strerror}; choose another place"
        raise


def _remove(part: Path) -> None:
    for each in (part, _replaced(part)):
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink(missing_ok=True)


def _replaced(part: Path) -> Path:
    """Where a folder lies that is being replaced."""
    return part.with_name(f"{part.name}.replaced{PART}")
