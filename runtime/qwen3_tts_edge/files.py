"""Files of our own: written whole or not at all, and read strictly.

`load` and `save` are for small safetensors files: a few arrays, and a description in the metadata.
The description is JSON under one key. Its `format` rises whenever an old file would be read
wrongly. Reading runs nothing and trusts nothing: a file that is too large, damaged, of another
kind or of another format is refused with the reason.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from qwen3_tts_edge.errors import InputError


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An immutable struct that is strict when read: unknown or missing keys are errors."""


Tensors = dict[str, npt.NDArray[Any]]
T = TypeVar("T", bound=msgspec.Struct)


@contextmanager
def whole_or_nothing(path: str | Path) -> Iterator[Path]:
    """Give a name to write a file under, beside its place; move it there at the end.

    After an error, a signal that ends the program or Ctrl-C nothing is left, and what was there
    before is as it was. A symbolic link stays and the file it leads to is replaced; a replaced
    file's mode is kept. A pipe or a device cannot be replaced: its own name is given.

    Args:
        path: The file's place; a `~` at its beginning is the home folder.

    Raises:
        OSError: The place is a folder, or the file cannot be moved there.
    """
    asked = Path(path).expanduser()
    mode = asked.stat().st_mode if asked.exists() else None
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if mode is not None and not stat.S_ISREG(mode):
        yield asked
        return
    place = Path(os.path.realpath(asked))
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        yield part
        if mode is not None:
            part.chmod(stat.S_IMODE(mode))
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: What messages call it.
        key: Where its description stands in the metadata.
        format: The one that is written and read.
        largest: In bytes; a larger file is refused.
        remedy: What to do with one that is no good.
    """

    name: str
    key: str
    format: int
    largest: int
    remedy: str

    def damaged(self, path: Path, what: str) -> InputError:
        """The error for a file whose content is wrong."""
        return InputError(
            f"{path} is a damaged {self.name}: {what}",
            self.remedy,
        )


def load(path: str | Path, kind: Kind, description: type[T]) -> tuple[T, Tensors]:
    """Read the description and all arrays. A `~` at the path's beginning is the home folder.

    Raises:
        InputError: Not a file of that kind, damaged, or of another format.
        OSError: It cannot be read.
    """
    path = Path(path).expanduser()
    with path.open("rb") as opened:  # a folder or a missing file says so
        size = os.fstat(opened.fileno()).st_size
    if size > kind.largest:
        raise InputError(f"{path} has {size} bytes, too many for a {kind.name}", "is it one?")
    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(kind.key)
            if text is None:
                raise InputError(f"{path} is a safetensors file, but no {kind.name}")
            return _described(text, path, kind, description), {
                name: file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118  (no dict)
            }
    except (SafetensorError, TypeError, KeyError) as error:  # types that numpy does not have
        raise InputError(
            f"{path} is not a {kind.name} or is damaged ({error})",
            kind.remedy,
        ) from error


def save(path: str | Path, kind: Kind, description: msgspec.Struct, tensors: Tensors) -> None:
    """Write a file, as `whole_or_nothing` says; what was there is replaced.

    Raises:
        OSError: It cannot be written.
    """
    text = msgspec.json.encode(description, order="sorted").decode()
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with whole_or_nothing(path) as part:
        part.write_bytes(to_bytes(arrays, {kind.key: text}))


def _described(text: str, path: Path, kind: Kind, description: type[T]) -> T:
    try:
        found = msgspec.json.decode(text, type=_Format).format
        if found != kind.format:
            raise InputError(
                f"{path} is a {kind.name} of format {found}, this version reads {kind.format}",
                f"{kind.remedy}, or install the version that made it",
            )
        return msgspec.json.decode(text, type=description)
    except msgspec.MsgspecError as error:
        raise kind.damaged(path, str(error)) from error


class _Format(msgspec.Struct):
    format: int
