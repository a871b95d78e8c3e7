"""A safetensors file as a read-only mapping of tensors, checked before the first one is read.

The header is parsed here, not only by the library, so that a broken download is reported with what
was found, and so that shapes are known without touching the data. Tensors are mapped from the file
when they are asked for.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.json_file import convert, read_json

DTYPES: Mapping[str, torch.dtype] = {
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F32": torch.float32,
}
"""What a checkpoint may be stored in. A quantised file is another project's format."""


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor lies, from the header alone."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class TensorFile(Mapping[str, torch.Tensor]):
    """The tensors of `<folder>/model.safetensors`, or of the shards its index names.

    Indexing maps the tensor from the file in its stored dtype; nothing is cached here.
    """

    def __init__(self, files: Mapping[Path, bytes], entries: Mapping[str, TensorEntry]) -> None:
        self.headers = files
        self.entries = entries
        self._open: dict[Path, Any] = {}

    @classmethod
    def open(cls, folder: Path) -> "TensorFile":
        """Open the weights in `folder`.

        Raises:
            CheckpointError: A file is missing, cut short, or not safetensors.
        """
        headers: dict[Path, bytes] = {}
        entries: dict[str, TensorEntry] = {}
        for file in _weight_files(folder):
            headers[file], found = _read_header(file)
            entries.update(found)
        return cls(headers, entries)

    def __getitem__(self, name: str) -> torch.Tensor:
        file = self.entries[name].file
        if file not in self._open:
            try:
                self._open[file] = safe_open(file, framework="pt")
            except (OSError, SafetensorError) as error:
                raise CheckpointError(f"{file} cannot be read: {error}") from error
        tensor: torch.Tensor = self._open[file].get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def check(self, expected: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse the file unless every expected tensor is there, in its shape and a known dtype.

        Raises:
            CheckpointError: Names the first offender, what was found and what was expected.
        """
        where = next(iter(self.headers)).parent if self.headers else Path()
        missing = [name for name in expected if name not in self.entries]
        if missing:
            raise CheckpointError(
                f"{where}: {len(missing)} of {len(expected)} tensors are missing, first"
                f" {missing[0]} {list(expected[missing[0]])}",
                "download the checkpoint again",
            )
        for name, shape in expected.items():
            entry = self.entries[name]
            if entry.shape != shape:
                raise CheckpointError(
                    f"{entry.file}: {name} has shape {list(entry.shape)}, config.json makes it"
                    f" {list(shape)}: the two files are not from one checkpoint",
                    "download the checkpoint again",
                )
            if entry.dtype not in DTYPES:
                raise CheckpointError(
                    f"{entry.file}: {name} is stored as {entry.dtype}, expected one of"
                    f" {', '.join(DTYPES)}",
                    "use the official weights, not a quantised copy",
                )


class _Index(msgspec.Struct):
    weight_map: Annotated[dict[str, str], msgspec.Meta(min_length=1)]


def _weight_files(folder: Path) -> list[Path]:
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        raise CheckpointError(
            f"{single} is missing; expected the weights of a Qwen3-TTS checkpoint",
            "download it again",
        )
    shards = convert(read_json(index), _Index, str(index)).weight_map
    return [folder / name for name in sorted(set(shards.values()))]


def _read_header(file: Path) -> tuple[bytes, dict[str, TensorEntry]]:
    """Return the header's bytes and what it promises, once the file is as long as that needs."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            start = stream.read(8)
            length = int.from_bytes(start, "little")
            if start == b"version ":
                raise CheckpointError(
                    f"{file} is a Git LFS pointer, not weights", "run `git lfs pull`"
                )
            if len(start) < 8 or length > size - 8:
                raise CheckpointError(
                    f"{file} has {size} bytes, too few for its header", "download it again"
                )
            header = stream.read(length)
    except OSError as error:
        raise CheckpointError(
            f"{file} cannot be read: {error.strerror}", "download it again"
        ) from error
    try:
        entries = {
            name: TensorEntry(
                file=file,
                dtype=entry["dtype"],
                shape=tuple(entry["shape"]),
                start=8 + length + entry["data_offsets"][0],
                end=8 + length + entry["data_offsets"][1],
            )
            for name, entry in json.loads(header).items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} is not a safetensors file", "download it again") from error
    promised = max((entry.end for entry in entries.values()), default=8 + length)
    if size != promised:
        raise CheckpointError(
            f"{file} has {size} bytes, its header promises {promised}", "download it again"
        )
    return header, entries


def count(tensors: TensorFile, prefix: str) -> tuple[int, int]:
    """Return how many tensors, and how many values in all, have names that start with `prefix`."""
    sizes = [math.prod(e.shape) for name, e in tensors.entries.items() if name.startswith(prefix)]
    return len(sizes), sum(sizes)
