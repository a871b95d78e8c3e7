"""What a safetensors file says of itself, read and held against its size.

The header is parsed here, not only by the library, so that a broken download is reported with what
was found, and so that names and shapes are known without touching the data.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from qwen3_tts_edge.errors import CheckpointError, refuse_lfs_pointer
from qwen3_tts_export.checkpoint.identity import cure

AGAIN = "copy or save it again"
"""What to do about a file of weights that is damaged."""

_ITEM_SIZES = {"BF16": 2, "F16": 2, "F32": 4, "F64": 8}
_Natural = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor lies, from the header alone."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """The header of one file."""

    raw: bytes
    entries: Mapping[str, TensorEntry]
    metadata: Mapping[str, str] = field(default_factory=dict)


class _Entry(msgspec.Struct):
    dtype: str
    shape: tuple[_Natural, ...]
    data_offsets: tuple[_Natural, _Natural]


def read_header(file: Path) -> Header:
    """Read the header of a safetensors file, once the file is as long as that promises.

    Raises:
        CheckpointError: The file is missing, cut short, or not safetensors.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            refuse_lfs_pointer(stream.read(32), file, CheckpointError)
            stream.seek(0)
            start = stream.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > size - 8:
                raise CheckpointError(
                    f"{file} has {size} bytes, too few for its header", cure(file, AGAIN)
                )
            raw = stream.read(length)
    except OSError as error:
        raise CheckpointError(
            f"{file} cannot be read: {error.strerror}", cure(file, AGAIN)
        ) from error
    try:
        values = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(values.pop("__metadata__", b"{}"), type=dict[str, str])
        found = {name: msgspec.json.decode(each, type=_Entry) for name, each in values.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(f"{file} is not a safetensors file", cure(file, AGAIN)) from error
    begin = 8 + length
    entries = {
        name: TensorEntry(
            file=file,
            dtype=entry.dtype,
            shape=entry.shape,
            start=begin + entry.data_offsets[0],
            end=begin + entry.data_offsets[1],
        )
        for name, entry in found.items()
    }
    _refuse_gaps(file, entries, begin, size)
    return Header(raw, entries, metadata)


def write_empty(
    file: Path, tensors: Mapping[str, Mapping[str, Any]], metadata: Mapping[str, str]
) -> None:
    """Write a file with a header and, in place of the tensors, a hole.

    Args:
        file: Where.
        tensors: Name to `dtype`, `shape` and `data_offsets`.
        metadata: What the header says beside them.
    """
    begin = header_bytes(tensors, metadata)
    end = max((each["data_offsets"][1] for each in tensors.values()), default=0)
    with file.open("wb") as out:
        out.write(begin)
        out.truncate(len(begin) + end)


def header_bytes(
    tensors: Mapping[str, Mapping[str, Any]], metadata: Mapping[str, str] | None
) -> bytes:
    """Write what a file begins with: the length of a JSON object, and the object."""
    keys = ("dtype", "shape", "data_offsets")
    values: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    values |= {name: {key: each[key] for key in keys} for name, each in tensors.items()}
    text = json.dumps(values, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _refuse_gaps(file: Path, entries: Mapping[str, TensorEntry], begin: int, size: int) -> None:
    """Refuse a file that is not its tensors, one behind the other, each as long as its shape."""
    end = begin
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        item = _ITEM_SIZES.get(entry.dtype)
        nbytes = entry.end - entry.start
        if entry.start != end or (item and nbytes != item * math.prod(entry.shape)):
            raise CheckpointError(
                f"{file}: {name} has {nbytes} bytes from {entry.start} on, which neither its shape "
                f"{list(entry.shape)} nor its neighbours allow",
                cure(file, AGAIN),
            )
        end = entry.end
    if size != end:
        raise CheckpointError(
            f"{file} has {size} bytes, its header promises {end}", cure(file, AGAIN)
        )
