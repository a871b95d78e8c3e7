"""Small safetensors files of our own: a few arrays, and a description in the metadata.

The description is JSON under one key, and its `format` rises whenever an old file would be read
wrongly. Reading runs nothing and trusts nothing: a file that is too large, damaged, of another
kind or of another format is refused with the reason.
"""

import os
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


def load(path: Path, kind: Kind, description: type[T]) -> tuple[T, Tensors]:
    """Read the description and all arrays.

    Raises:
        InputError: Not a file of that kind, damaged, or of another format.
        OSError: It cannot be read.
    """
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


def save(path: Path, kind: Kind, description: msgspec.Struct, tensors: Tensors) -> None:
    """Write the file beside its place and move it there; what was there is replaced.

    Raises:
        OSError: It cannot be written.
    """
    text = msgspec.json.encode(description, order="sorted").decode()
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(to_bytes(arrays, {kind.key: text}))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
