"""Samples → 16-bit PCM: WAV, FLAC and raw files, and bytes for a pipe or a socket.

The same samples give the same numbers in every one of them. A file grows chunk by chunk beside
its place and is moved there when it is complete, so a long text needs no more memory than a short
one and a file that has the final name is whole.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import soundfile
from typing_extensions import Self

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.files import whole_or_nothing

FORMATS = {".wav": "WAV", ".flac": "FLAC", ".pcm": "RAW"}
"""File endings and what is written: 16-bit mono; `.pcm` has no header and is little-endian."""


def to_pcm(samples: Samples) -> bytes:
    """Little-endian 16-bit PCM; what lies outside [-1, 1] is clipped.

    Args:
        samples: float32 (n,).
    """
    pcm: bytes = np.rint(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
    return pcm


def save(path: str | Path, samples: Samples, sample_rate: int) -> None:
    """Write a whole file.

    Args:
        path: Its ending is one of `FORMATS`; a file that is there already is replaced.
        samples: float32 (n,); what lies outside [-1, 1] is clipped.
        sample_rate: Of the samples.

    Raises:
        InputError: `path` could not be written, see `check_path`.
    """
    with AudioFile(path, sample_rate) as file:
        file.write(samples)


def check_path(path: Path) -> None:
    """Refuse a file name that could not be written, before any work.

    Raises:
        InputError: The ending is none of `FORMATS`, `path` is a folder or a pipe that cannot take
            it, or it lies in no folder.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"{path}: cannot write {path.suffix or 'a file without ending'}",
            f"use {', '.join(FORMATS)}",
        )
    path = path.expanduser()
    if path.suffix.lower() == ".wav" and path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(
            f"{path} is a pipe, and a WAV file begins with its length", "use .pcm or .flac"
        )
    if path.is_dir():
        raise InputError(f"{path} is a folder", "choose another name")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder", "make it first")


class AudioFile:
    """A sound file that grows chunk by chunk, used with `with`.

    Left normally it is moved to its place; left by an error it is removed.
    """

    def __init__(self, path: str | Path, sample_rate: int) -> None:
        """Say where; `with` opens it, see `files.whole_or_nothing`.

        Raises:
            InputError: `path` could not be written, see `check_path`.
        """
        self._path = Path(path).expanduser()
        check_path(self._path)
        self._sample_rate = sample_rate

    def write(self, samples: Samples) -> None:
        """Append float32 (n,); what lies outside [-1, 1] is clipped.

        Raises:
            OSError: The disk is full.
        """
        with _readable_errors(self._path):
            # Converted here and not by libsndfile, which rounds another way.
            self._file.write(np.frombuffer(to_pcm(samples), "<i2"))

    def __enter__(self) -> Self:
        kind = FORMATS[self._path.suffix.lower()]
        endian = "LITTLE" if kind == "RAW" else "FILE"
        with ExitStack() as opening:
            opening.enter_context(_readable_errors(self._path))
            part = opening.enter_context(whole_or_nothing(self._path))
            self._file = opening.enter_context(
                soundfile.SoundFile(
                    part, "w", self._sample_rate, 1, "PCM_16", endian=endian, format=kind
                )
            )
            self._opened = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, trace)


class PcmStream:
    """Raw PCM into a pipe, each chunk at once; the same use as `AudioFile`."""

    def __init__(self, target: BinaryIO) -> None:
        """Write to an open file, which stays open."""
        self._target = target

    def write(self, samples: Samples) -> None:
        """Send float32 (n,); what lies outside [-1, 1] is clipped."""
        self._target.write(to_pcm(samples))
        self._target.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@contextmanager
def _readable_errors(path: Path) -> Iterator[None]:
    """Turn libsndfile's errors into OSError with the name of the file that was asked for."""
    try:
        yield
    except soundfile.LibsndfileError as error:
        raise OSError(
            f"{path} cannot be written ({error.error_string}); make room on its disk"
        ) from error
