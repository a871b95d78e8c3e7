"""A path as somebody gave it: what can be none is refused before it is looked for."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from qwen3_tts_edge.errors import InputError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_OF_THE_HUB = re.compile(r"https?://huggingface\.co/([^/?#]+/[^/?#]+)/?")


def expanded(
    given: str | os.PathLike[str], name: str = "path", *, file: bool = False, utf8: bool = False
) -> Path:
    """Give a path whose `~` at the beginning is a home folder, as a shell gives it.

    What begins with `~` and is nobody's home is a name like others: `~$letter.txt`.

    Args:
        given: The path.
        name: What messages call it: the argument or the variable that it was given as.
        file: Whether it is a file's: a slash at its end says that it is a folder's.
        utf8: Whether libraries open it that know no other names, such as an old disk may have.

    Raises:
        InputError: It is no text, empty or of blanks only, an address, has a null character, is not
            UTF-8, is a folder's, or would be in the home folder of a user who has none.
    """
    if not isinstance(given, str | os.PathLike) or not isinstance(text := os.fspath(given), str):
        raise InputError.of(name, given, "a path")
    if not text.strip():
        raise InputError(f"{name} is empty", "give a path")
    if _ADDRESS.match(text):  # of which a path would have a slash less
        hub = _OF_THE_HUB.fullmatch(text)
        remedy = f"name it as the hub does, {hub[1]}" if hub else "download it first"
        raise InputError.of(name, text, "a path: no address is fetched", remedy)
    if "\0" in text:
        raise InputError.of(name, text, "a path, which has no null character")
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise InputError.of(name, text, "a path that this system can write", "rename it") from error
    if utf8 and not is_utf8(text):
        raise InputError.of(name, text, "a path in UTF-8", "rename it")
    above, last = os.path.split(text)
    if file and above and last in ("", os.curdir):  # which a path would not have any more
        raise InputError.of(
            name,
            text,
            "the path of a file, which ends with its name",
            "leave the slash at its end away, or name a file in that folder",
        )
    path = Path(given)
    try:
        return path.expanduser()
    except RuntimeError as error:
        if path.parts[0] != "~":
            return path
        raise InputError(
            "this user has no home folder", f"give {name} without a ~ at its beginning"
        ) from error


def check_target(path: Path) -> None:
    """Refuse a place where no file can be written: a folder, or one in no folder.

    Raises:
        InputError: It is one of these.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder", "choose another name")
    above = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if not above.is_dir():
        raise InputError(f"{above} is not a folder", "make it first")


def folder_of(variable: str, otherwise: Callable[[], Path]) -> Path:
    """Give the folder that a variable of the environment names; it may not exist yet.

    Args:
        variable: Its name. A relative path is one from where the program was started.
        otherwise: Gives the folder where it is not set, or to blanks only.

    Raises:
        InputError: As for `expanded`, or a file is in its way.
    """
    named: str | Path = os.environ.get(variable, "")
    if not str(named).strip():
        try:
            named = otherwise()
        except RuntimeError as error:
            raise InputError(
                "this user has no home folder", f"set {variable} to a folder"
            ) from error
    folder = expanded(named, variable).absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        raise InputError(f"{there} is no folder", f"remove it, or set {variable} to another place")
    return folder


def is_utf8(text: str) -> bool:
    """Tell whether a text can be written: names of files in other encodings can not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
