"""Safetensors files as a read-only mapping of tensors, checked before the first one is read.

Tensors are mapped from the files when they are asked for.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from qwen3_tts_edge.errors import CheckpointError, reason, shortened
from qwen3_tts_export.checkpoint.copies import refuse_copy_by_tensors
from qwen3_tts_export.checkpoint.identity import cure
from qwen3_tts_export.checkpoint.safetensors_header import AGAIN, Header, TensorEntry, read_header
from qwen3_tts_export.checkpoint.weight_files import weight_files
from qwen3_tts_export.progress import Report

DTYPES: Mapping[str, torch.dtype] = {
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F32": torch.float32,
}
"""What a checkpoint may be stored in. A quantised file is another project's format."""

_MAY_BE_ZERO = "encoder."
"""How tensors begin of which some are never used: the codec's encoder has twice the codebooks."""

_ENCODER = "take those of the base it was trained from, or make tts_model_type custom_voice"
_SAVE = "save the weights again, all of them and with the config.json they were trained with"


class TensorFile(Mapping[str, torch.Tensor]):
    """The tensors of `<folder>/model.safetensors`, or of the shards its index names.

    Indexing maps the tensor from the file in its stored dtype; nothing is cached here.
    """

    def __init__(self, folder: Path, headers: Mapping[Path, Header]) -> None:
        self.folder = folder
        self.headers = headers
        self.entries: dict[str, TensorEntry] = {}
        for header in headers.values():
            self.entries.update(header.entries)
        self.wanted: Collection[str] = self.entries

    @classmethod
    def open(cls, folder: Path) -> "TensorFile":
        """Open the weights in `folder`.

        Raises:
            CheckpointError: A file is missing, cut short, or not safetensors, or the weights are of
                another format.
        """
        return cls(folder, {file: read_header(file) for file in weight_files(folder)})

    def __getitem__(self, name: str) -> torch.Tensor:
        file = self.entries[name].file
        try:
            # Anew each time: what was read stays mapped as long as the file is open.
            with safe_open(file, framework="pt") as opened:
                tensor: torch.Tensor = opened.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{file} cannot be read: {reason(error)}", cure(file, AGAIN)
            ) from error
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def check(self, expected: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse the file unless every expected tensor is there, in its shape and a known dtype.

        Others that are there too are nobody's business from then on.

        Raises:
            CheckpointError: Names the first offender, what was found and what was expected.
        """
        formats = [header.metadata.get("format", "") for header in self.headers.values()]
        refuse_copy_by_tensors(self.entries, formats, expected, self.folder)
        advice = cure(self.folder / "model.safetensors", _SAVE)
        missing = [name for name in expected if name not in self.entries]
        if missing:
            if all(name.startswith("speaker_encoder.") for name in missing):
                advice = cure(self.folder / "model.safetensors", _ENCODER)
            raise CheckpointError(
                f"{self.folder}: {len(missing)} of {len(expected)} tensors are missing, first"
                f" {missing[0]} {list(expected[missing[0]])}",
                advice,
            )
        for name in expected:
            _refuse_dtype(name, self.entries[name])
        for name, shape in expected.items():
            entry = self.entries[name]
            if entry.shape != shape:
                turned = sorted(entry.shape) == sorted(shape)
                raise CheckpointError(
                    f"{entry.file}: {name} has shape {list(entry.shape)}, config.json makes it"
                    f" {list(shape)}: "
                    + ("a copy converted for another program" if turned else "the two differ"),
                    advice,
                )
        self.wanted = expected


def refuse_infinite(files: Sequence[TensorFile], report: Report = lambda *_: None) -> None:
    """Read weights through and refuse a tensor with a number that is infinite, or none.

    It would spoil every sample. And a matrix of zeros: a download that broke off leaves room for
    what did not come.

    Args:
        files: Of which tensors are read that somebody has asked for, see `check`.
        report: Called before each tensor.

    Raises:
        CheckpointError: Names the first such tensor.
    """
    asked = [(file, name, file.entries[name]) for file in files for name in file.wanted]
    total, done = sum(entry.end - entry.start for _, _, entry in asked), 0
    for file, name, entry in asked:
        report("reading the weights", done / total)
        done += entry.end - entry.start
        if entry.dtype in DTYPES and entry.end > entry.start:
            _refuse_values(name, file[name], entry)


def count(tensors: TensorFile, prefix: str) -> tuple[int, int]:
    """Return how many tensors, and how many values in all, have names that start with `prefix`."""
    sizes = [math.prod(e.shape) for name, e in tensors.entries.items() if name.startswith(prefix)]
    return len(sizes), sum(sizes)


def _refuse_dtype(name: str, entry: TensorEntry) -> None:
    if entry.dtype not in DTYPES:
        doubled = entry.dtype == "F64"
        raise CheckpointError(
            f"{entry.file}: {shortened(name)} is stored as {shortened(entry.dtype)}, expected one "
            f"of {', '.join(DTYPES)}",
            "save it in float32" if doubled else "use the official weights, not a quantised copy",
        )


def _refuse_values(name: str, tensor: torch.Tensor, entry: TensorEntry) -> None:
    low, high = tensor.aminmax()
    if not (low.isfinite() and high.isfinite()):
        bad = int((~tensor.isfinite()).sum())
        raise CheckpointError(
            f"{entry.file}: {bad} of the {tensor.numel()} numbers of {name} are NaN or infinite",
            cure(entry.file, "the training diverged, take an earlier step's weights"),
        )
    if low == high == 0 and tensor.ndim > 1 and not name.startswith(_MAY_BE_ZERO):
        raise CheckpointError(
            f"{entry.file}: all {tensor.numel()} numbers of {name} are zero, as in a file that was"
            " not written to its end",
            cure(entry.file, AGAIN),
        )
