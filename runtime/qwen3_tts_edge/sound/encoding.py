"""Samples → the bytes of any sound format, while they are made.

What is fed in pieces becomes the same bytes as the whole fed at once. MP3 needs the extra `serve`,
Opus, AAC and another speed need `serve-codecs`; without them the rest works.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.errors import InputError, lack, quoted
from qwen3_tts_edge.sound.formats import FORMATS, Coder, Format
from qwen3_tts_edge.sound.rate import Resampler
from qwen3_tts_edge.sound.tempo import SPEEDS, Tempo

RATES = (8_000, 48_000)
"""The lowest and the highest sample rate that can be asked for, in Hz."""


class Change(Protocol):
    """Changes samples on their way to the coder."""

    def feed(self, samples: Samples) -> Samples:
        """Take float32 (n,), n from 0, and give the samples that are ready."""

    def finish(self) -> Samples:
        """Give what is left. Once, at the end."""


class Encoder:
    """Makes one file or one answer after the other, see `encoder`. Not for several threads at once.

    What coders take, half a megabyte of LAME's, is only held from the first samples to the last.

    Attributes:
        content_type: Of the bytes.
        sample_rate: Of the sound in them, in Hz.
        head: After `finish`, what to put over as many bytes at the beginning, where that can be
            done. It is a header with the true length; of what is sent while it is made nobody knows
            how long it will be. Empty for formats that need none.
    """

    def __init__(
        self,
        content_type: str,
        sample_rate: int,
        begin: Callable[[], tuple[list[Change], Coder]],
    ) -> None:
        self.content_type = content_type
        self.sample_rate = sample_rate
        self.head = b""
        begin()  # what is missing for it is said now
        self._begin = begin
        self._begun: tuple[list[Change], Coder] | None = None
        self._finished = False

    def encode(self, samples: Samples) -> bytes:
        """Take samples and give the bytes that are ready: none, or of samples fed before.

        Args:
            samples: float32 (n,), n from 0; what lies outside [-1, 1] is clipped.
        """
        changes, coder = self._coding()
        for change in changes:
            samples = change.feed(samples)
        return coder.encode(samples)

    def finish(self) -> bytes:
        """Give what is left; what is encoded afterwards begins anew.

        Nothing is left of what was finished before.
        """
        if self._finished:
            return b""
        changes, coder = self._coding()
        self.close()
        rest = np.zeros(0, np.float32)
        for change in changes:
            rest = np.concatenate([change.feed(rest), change.finish()])
        data = coder.encode(rest) + coder.finish()
        self.head = coder.head
        return data

    def close(self) -> None:
        """Let go of a sound that nobody wants to its end, as if it were finished."""
        self._begun, self._finished = None, True

    def _coding(self) -> tuple[list[Change], Coder]:
        if self._begun is None:
            self._begun, self._finished = self._begin(), False
        return self._begun

    def whole(self, samples: Samples) -> bytes:
        """Encode all there is, instead of `encode` and `finish`; the header has the true length."""
        data = self.encode(samples) + self.finish()
        return self.head + data[len(self.head) :]


def encoder(
    name: str,
    sample_rate: int,
    *,
    rate_out: int | None = None,
    speed: float = 1.0,
    bitrate: int | None = None,
) -> Encoder:
    """Make an encoder, or say at once why it cannot be.

    Args:
        name: One of `FORMATS`.
        sample_rate: Of the samples it will be fed, in Hz.
        rate_out: Of the sound, within `RATES`; None is what the format usually has.
        speed: 2.0 is twice as fast at the same pitch; within `SPEEDS`.
        bitrate: In bit/s; None is the format's own choice.

    Raises:
        InputError: No such format, rate, speed or bit rate, or an extra is not installed.
    """
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"{quoted(name)} is not a sound format", f"use one of {known}")
    form = FORMATS[name]
    rate = rate_out if rate_out is not None else form.rate or sample_rate
    _check_rate(name, form, rate, asked=rate_out is not None)
    if not SPEEDS[0] <= speed <= SPEEDS[1]:
        raise InputError(f"the speed is {speed:g}; expected {SPEEDS[0]:g} to {SPEEDS[1]:g}")
    settings = _settings(name, form, bitrate)

    def begin() -> tuple[list[Change], Coder]:
        changes: list[Change] = []
        if speed != 1.0:
            with _extra("serve-codecs", f"a speed of {speed:g}"):
                changes.append(Tempo(speed, sample_rate))
        if rate != sample_rate:
            changes.append(Resampler(sample_rate, rate))
        with _extra(form.extra, name):
            return changes, form.coder(rate, *settings)

    return Encoder(form.content_type, rate, begin)


def _check_rate(name: str, form: Format, rate: int, *, asked: bool) -> None:
    if asked and not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"the sample rate is {rate} Hz; expected {RATES[0]} to {RATES[1]} Hz")
    if form.rates and rate not in form.rates:
        raise InputError(
            f"{name} has no sample rate of {rate} Hz",
            f"use one of {', '.join(map(str, form.rates))}",
        )


def _settings(name: str, form: Format, bitrate: int | None) -> list[int]:
    """What the coder takes beside the sample rate."""
    if form.bitrates is None:
        if bitrate is not None:
            raise InputError(f"{name} has no bit rate to choose", "leave it out")
        return []
    lowest, usual, highest = form.bitrates
    if bitrate is None:
        return [usual]
    if not lowest <= bitrate <= highest:
        raise InputError(f"the bit rate is {bitrate} bit/s; {name} has {lowest} to {highest}")
    return [bitrate]


@contextmanager
def _extra(extra: str | None, what: str) -> Iterator[None]:
    """Say what to install, where a package is missing."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{what} needs a package that {lack(error)}",
            f'run: pip install "qwen3-tts-edge[{extra}]"',
        ) from error
