"""Files of our own, read strictly: JSON, and small safetensors files with a description.

A described file holds a few arrays, and JSON under one key of its metadata. Its `format` rises
whenever an old file would be read wrongly. Reading runs nothing and trusts nothing: a file that is
too large, damaged, of another kind or of another format is refused with the reason.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from qwen3_tts_edge.atomic import whole_or_nothing
from qwen3_tts_edge.errors import InputError, reason
from qwen3_tts_edge.paths import expanded


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An immutable struct that is strict when read: unknown or missing keys are errors."""


NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises of bytes that are not the JSON that is expected."""

Tensors = dict[str, npt.NDArray[Any]]
T = TypeVar("T", bound=msgspec.Struct)


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
        InputError: Not a file of that kind or a pipe, damaged, or of another format.
        OSError: It cannot be read.
    """
    path = expanded(path, file=True)
    mode = path.stat().st_mode  # before it is opened: a pipe would wait for who writes
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(
            f"{path} is a pipe or a device, a {kind.name} is read from a file", "write it into one"
        )
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
            f"{path} is not a {kind.name} or is damaged ({reason(error)})", kind.remedy
        ) from error


def save(path: str | Path, kind: Kind, description: msgspec.Struct, tensors: Tensors) -> None:
    """Write a file, as `whole_or_nothing` says; what was there is replaced.

    Raises:
        InputError: Something in the description is of another type, or not valid Unicode.
        OSError: It cannot be written.
    """
    try:
        data = msgspec.json.encode(description, order="sorted")
        msgspec.json.decode(data, type=type(description))  # what is written can be read
    except (UnicodeEncodeError, msgspec.MsgspecError) as error:
        raise InputError(f"the {kind.name} cannot be written ({reason(error)})") from error
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    content = to_bytes(arrays, {kind.key: data.decode()})
    with whole_or_nothing(path) as part:
        part.write_bytes(content)


def write_json(path: Path, content: msgspec.Struct) -> None:
    """Write a struct as JSON, sorted and indented so that two files can be compared.

    Raises:
        OSError: It cannot be written.
    """
    data = msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=1)
    with whole_or_nothing(path) as part:
        part.write_bytes(data + b"\n")


def _described(text: str, path: Path, kind: Kind, description: type[T]) -> T:
    try:
        found = msgspec.json.decode(text, type=_Format).format
        if found != kind.format:
            raise InputError(
                f"{path} is a {kind.name} of format {found}, this version reads {kind.format}",
                f"{kind.remedy}, or install the version that made it",
            )
        return msgspec.json.decode(text, type=description)
    except NOT_JSON as error:
        raise kind.damaged(path, reason(error)) from error


class _Format(msgspec.Struct):
    format: int
