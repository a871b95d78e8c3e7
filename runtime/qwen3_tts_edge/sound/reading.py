"""Sound files → blocks of samples at any rate, resampled as the official package does it."""

import logging
import math
import shlex
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from qwen3_tts_edge.arrays import Array, Block, Samples
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.paths import expanded
from qwen3_tts_edge.sound.conversion import converted
from qwen3_tts_edge.sound.cut import DELAY, warn_if_cut
from qwen3_tts_edge.sound.mpeg import untold
from qwen3_tts_edge.sound.rate import Resampler, fitted
from qwen3_tts_edge.sound.source import Steady, opened, refuse_stand_in

RATES = (1_000, 768_000)
"""The lowest and the highest sample rate that is read, in Hz."""

_NUMBERS_AT_ONCE = 1 << 20

_LEAST = 4096
"""Frames that are read at once where more cannot be: the usual block of FLAC."""

_log = logging.getLogger(__name__)


def open_sound(
    file: str | Path | BinaryIO, name: str, *, seconds: float | None = None
) -> soundfile.SoundFile:
    """Open a sound file to read it: any that libsndfile reads, or what `conversion` does.

    Args:
        file: A path, or an open binary file.
        name: What a message calls it.
        seconds: How much of it is wanted at most; None is all.

    Raises:
        InputError: Nothing here reads it, or its sample rate is out of range.
        OSError: There is no such file.
    """
    file = opened(expanded(file, file=True) if isinstance(file, str | Path) else file)
    try:
        sound = soundfile.SoundFile(file if isinstance(file, Path) else Steady(file))
    except (soundfile.LibsndfileError, TypeError, OverflowError) as error:
        refuse_stand_in(file, name)
        reason = getattr(error, "error_string", str(error)).rstrip(". \n")
        other = converted(file, name, seconds)
        if other is None:
            raise InputError(
                f"{name} is not a sound file that can be read ({reason})", _cure(file)
            ) from error
        sound = soundfile.SoundFile(other)
    if not sound.frames:
        sound = _unfinished(sound, file, name, seconds)
    elif sound.format == "MP3":
        sound = _of_any_bitrate(sound, file, name, seconds)
    try:
        check_rate(sound.samplerate, name)
    except InputError:
        sound.close()
        raise
    return sound


def _unfinished(
    sound: soundfile.SoundFile, file: Path | BinaryIO, name: str, seconds: float | None
) -> soundfile.SoundFile:
    """Read what is there behind a header that says nothing is: whoever wrote it was stopped."""
    other = converted(file, name, seconds)
    found = sound if other is None else soundfile.SoundFile(other)
    if not found.frames:
        return sound
    sound.close()
    _log.warning(
        "%s is not finished: its header says that it is empty, and %.1f s are there",
        name,
        found.frames / found.samplerate,
    )
    return found


def _of_any_bitrate(
    sound: soundfile.SoundFile, file: Path | BinaryIO, name: str, seconds: float | None
) -> soundfile.SoundFile:
    """Read all of an MP3 that does not say how long it is.

    libsndfile takes it to have the bitrate of its first frame, and no more is read.
    """
    if isinstance(file, Path):
        with file.open("rb") as there:
            samples = untold(there)
    else:
        position = file.tell()
        samples = untold(file)
        file.seek(position)
    if not samples or abs(samples - sound.frames) < DELAY * sound.samplerate:
        return sound
    other = converted(file, name, seconds)
    if other is not None:
        sound.close()
        return soundfile.SoundFile(other)
    if sound.frames < samples:
        _log.warning(
            "%s is read up to %.1f of %.1f s, for it does not say how long it is; %s",
            name,
            sound.frames / sound.samplerate,
            samples / sound.samplerate,
            _cure(file),
        )
    return sound


def read_blocks(sound: soundfile.SoundFile, name: str) -> Iterator[Block]:
    """Read an open file in blocks, float32 (n, channels), and close it.

    One that is cut is read as far as it goes, with a warning in the log.

    Raises:
        InputError: It is damaged at its beginning, or has samples that are no numbers.
    """
    size, read = max(1, _NUMBERS_AT_ONCE // sound.channels), 0
    with sound:
        for block in _blocks(sound, size, name):
            if not np.isfinite(block).all():
                raise InputError(f"{name} has samples that are no numbers", "convert it again")
            read += len(block)
            yield block
        warn_if_cut(sound, read, name)


def _blocks(sound: soundfile.SoundFile, size: int, name: str) -> Iterator[Block]:
    """Read blocks of `size` frames up to the end; where one cannot be read, what can of it."""
    read = 0
    while True:
        try:
            block = sound.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            if size > _LEAST:
                size = _LEAST
                with suppress(soundfile.LibsndfileError):
                    sound.seek(read)
                continue
            if not read:
                said = error.error_string.rstrip(". ") or "nothing can be read"
                raise InputError(f"{name} is damaged ({said})", "copy it again") from error
            return
        if not len(block):
            return
        read += len(block)
        yield block


def scaled(samples: Array, name: str) -> Block:
    """Convert samples of any shape to float32: PCM from its type's range to [-1, 1), floats as is.

    Args:
        samples: Floating point, or PCM as int8, uint8, int16 or int32.
        name: What a message calls them.

    Raises:
        InputError: Another type, or not all are numbers.
    """
    kind = samples.dtype.newbyteorder("=")
    if kind == np.uint8:  # the one PCM type whose middle is not 0
        centred: Block = (samples.astype(np.float32) - np.float32(128)) / np.float32(128)
        return centred
    if kind in (np.int8, np.int16, np.int32):
        full = 2.0 ** (8 * kind.itemsize - 1)
        pcm: Block = (samples.astype(np.float64) / full).astype(np.float32)
        return pcm
    if not np.issubdtype(kind, np.floating):
        raise InputError(
            f"{name}'s samples are {kind}; expected floating point in [-1, 1], or PCM as int8, "
            "uint8, int16 or int32"
        )
    with np.errstate(over="ignore"):
        floats = samples.astype(np.float32)
    if not np.isfinite(floats).all():
        raise InputError(f"{name} has samples that are no numbers", "record it again")
    return floats


def mixed(block: Block) -> Samples:
    """Average the channels of (n, channels), as the official package does."""
    mono: Samples = block.mean(axis=1, dtype=np.float32)
    return mono


def resampled(samples: Samples, rate: int, to: int) -> Samples:
    """Convert float32 (n,) from one sample rate to another, ceil(n * to / rate) samples.

    Source: librosa.resample with its default soxr_hq, as qwen_tts/inference/qwen3_tts_model.py
        calls it.
    """
    if rate == to:
        return samples
    converted: Samples = soxr.resample(samples, rate, to, quality="HQ")
    return fitted(converted, math.ceil(len(samples) * (to / rate)))


def resampled_blocks(blocks: Iterable[Samples], rate: int, to: int) -> Iterator[Samples]:
    """Convert blocks like `resampled` converts the whole, in constant memory."""
    if rate == to:
        yield from blocks
        return
    resampler = Resampler(rate, to)
    for block in blocks:
        yield resampler.feed(block)
    yield resampler.finish()


def check_rate(rate: int, name: str) -> None:
    """Refuse a sample rate outside `RATES`."""
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(
            f"{name} has a sample rate of {rate} Hz; expected {RATES[0]} to {RATES[1]} Hz"
        )


def _cure(file: Path | BinaryIO) -> str:
    if shutil.which("ffmpeg") is not None:
        return "ffmpeg does not read it either: record it again, or as WAV"
    path = file if isinstance(file, Path) else Path("recording.m4a")
    target = path.with_name(f"{path.stem}-converted.wav")
    command = f"ffmpeg -i {shlex.quote(str(path))} {shlex.quote(str(target))}"
    return f"install ffmpeg, which then reads it here, or convert it elsewhere: {command}"
