"""Samples → WAV, FLAC and raw PCM, in files and pipes."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from qwen3_tts_edge.errors import InputError

FORMATS = {".wav": "WAV", ".flac": "FLAC", ".pcm": "RAW"}
"""File endings and what is written: 16-bit mono, `.pcm` without a header, little-endian."""


def to_pcm(samples: npt.NDArray[np.float32]) -> bytes:
    """Little-endian 16-bit PCM; what lies outside [-1, 1] is clipped.

    Args:
        samples: float32 (n,).
    """
    pcm: bytes = np.rint(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
    return pcm


def save(path: str | Path, samples: npt.NDArray[np.float32], sample_rate: int) -> None:
    """Write a whole file: aside first, renamed into place when complete.

    Raises:
        InputError: The ending is none of `FORMATS`, or the folder does not exist.
    """
    path = Path(path)
    check_path(path)
    part = path.with_name(path.name + ".part")
    try:
        with AudioFile(part, FORMATS[path.suffix.lower()], sample_rate) as file:
            file.write(samples)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def check_path(path: Path) -> None:
    """Refuse a file name that could not be written, before any work.

    Raises:
        InputError: The ending is none of `FORMATS`, or the folder does not exist.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"{path}: cannot write {path.suffix or 'a file without ending'}; "
            f"use {', '.join(FORMATS)}"
        )
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder; make it first")


class AudioFile:
    """A sound file that grows chunk by chunk."""

    def __init__(self, target: Path | BinaryIO, kind: str, sample_rate: int) -> None:
        """Open for writing; `kind` is a value of `FORMATS`."""
        self._file = soundfile.SoundFile(
            target, "w", sample_rate, channels=1, format=kind, subtype="PCM_16", endian="FILE"
        )

    def write(self, samples: npt.NDArray[np.float32]) -> None:
        """Append float32 (n,) in [-1, 1]."""
        self._file.write(samples)

    def __enter__(self) -> "AudioFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
