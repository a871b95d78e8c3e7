"""Samples → sound files, and the bytes of one into a pipe while it is made.

A file grows chunk by chunk beside its place and is moved there when it is complete, so a long text
needs no more memory than a short one and a file that has the final name is whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from typing_extensions import Self

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.atomic import whole_or_nothing
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.paths import check_target, expanded
from qwen3_tts_edge.sound.encoding import Encoder, encoder
from qwen3_tts_edge.sound.formats import FORMATS

ENDINGS = {form.ending: name for name, form in FORMATS.items() if form.ending}
"""File endings and the format that is written. `.pcm` has no header: 16-bit little-endian."""


def save(path: str | Path, samples: Samples, sample_rate: int) -> None:
    """Write a whole file.

    Args:
        path: Its ending is one of `ENDINGS`; a file that is there already is replaced.
        samples: float32 (n,); what lies outside [-1, 1] is clipped.
        sample_rate: Of the samples.

    Raises:
        InputError: `path` could not be written, see `AudioFile`.
    """
    with AudioFile(path, sample_rate) as file:
        file.write(samples)


def format_of(path: Path) -> str:
    """Find the format of a file by the ending of its name.

    Raises:
        InputError: The ending is none of `ENDINGS`.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InputError(
            f"{path}: cannot write {path.suffix or 'a file without ending'}",
            f"use {', '.join(ENDINGS)}",
        )
    return ENDINGS[ending]


class AudioFile:
    """A sound file that grows chunk by chunk, used once, with `with`.

    Left normally it is moved to its place; left by an error it is removed.
    """

    def __init__(
        self, path: str | Path, sample_rate: int, *, rate_out: int | None = None, speed: float = 1.0
    ) -> None:
        """Say where, before any work; `with` opens it, see `atomic.whole_or_nothing`.

        Args:
            path: Its ending says the format.
            sample_rate: Of the samples.
            rate_out: See `encoding.encoder`.
            speed: See `encoding.encoder`.

        Raises:
            InputError: The ending is none of `ENDINGS`, `path` is a folder's or lies in no folder,
                or for what `encoding.encoder` raises it.
        """
        self._path = expanded(path, file=True)
        check_target(self._path)
        name = format_of(self._path)
        self._encoder = encoder(name, sample_rate, rate_out=rate_out, speed=speed)
        self._opened = self._open()

    def write(self, samples: Samples) -> None:
        """Append float32 (n,); what lies outside [-1, 1] is clipped.

        Raises:
            OSError: The disk is full.
        """
        self._put(self._encoder.encode(samples))

    def __enter__(self) -> Self:
        self._opened.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    @contextmanager
    def _open(self) -> Iterator[None]:
        with whole_or_nothing(self._path) as part:
            # Without a buffer, closing it after an error does not try to write once more.
            self._file = part.open("wb", buffering=0)
            with self._file:
                yield
                self._put(self._encoder.finish())
                if self._encoder.head and self._file.seekable():  # no pipe
                    self._file.seek(0)
                    self._put(self._encoder.head)

    def _put(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            error.filename = str(self._path)
            raise


class AudioStream:
    """Sound into a pipe, each chunk at once; the same use as `AudioFile`.

    A header says that the length is not known.
    """

    def __init__(self, target: BinaryIO, encoder: Encoder) -> None:
        """Write to an open file, which stays open."""
        self._target = target
        self._encoder = encoder

    def write(self, samples: Samples) -> None:
        """Send float32 (n,); what lies outside [-1, 1] is clipped."""
        self._send(self._encoder.encode(samples))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._send(self._encoder.finish())

    def _send(self, data: bytes) -> None:
        self._target.write(data)
        self._target.flush()
