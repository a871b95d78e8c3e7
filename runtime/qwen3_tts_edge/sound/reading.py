"""Sound files → blocks of samples at any rate, resampled as the official package does it."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from qwen3_tts_edge.arrays import Array, Block, Samples
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.sound.rate import Resampler, fitted

RATES = (1_000, 768_000)
"""The lowest and the highest sample rate that is read, in Hz."""

_NUMBERS_AT_ONCE = 1 << 20


def open_sound(file: str | Path | BinaryIO, name: str) -> soundfile.SoundFile:
    """Open a sound file to read it.

    Args:
        file: A path, or an open binary file.
        name: What a message calls it.

    Raises:
        InputError: libsndfile does not read it, or its sample rate is out of range.
        OSError: There is no such file.
    """
    if isinstance(file, str | Path):
        file = Path(file).expanduser()
        file.open("rb").close()  # libsndfile does not say why it cannot open a file
        file = str(file)
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError, OverflowError) as error:
        reason = getattr(error, "error_string", str(error)).rstrip(". \n")
        raise InputError(
            f"{name} is not a sound file that can be read ({reason})", "use WAV, FLAC, OGG or MP3"
        ) from error
    try:
        check_rate(sound.samplerate, name)
    except InputError:
        sound.close()
        raise
    return sound


def read_blocks(sound: soundfile.SoundFile, name: str) -> Iterator[Block]:
    """Read an open file in blocks, float32 (n, channels), and close it.

    Raises:
        InputError: It is damaged.
    """
    size = max(1, _NUMBERS_AT_ONCE // sound.channels)
    with sound:
        while True:
            try:
                block = sound.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise InputError(
                    f"{name} is damaged ({error.error_string.rstrip('. ')})",
                    "convert or copy it again",
                ) from error
            if not len(block):
                return
            if not np.isfinite(block).all():
                raise InputError(f"{name} has samples that are no numbers", "convert it again")
            yield block


def scaled(samples: Array, name: str) -> Block:
    """Convert samples of any shape to float32: PCM from its type's range to [-1, 1), floats as is.

    Args:
        samples: Floating point, or PCM as int8, uint8, int16 or int32.
        name: What a message calls them.

    Raises:
        InputError: Another type, or not all are numbers.
    """
    kind = samples.dtype
    if kind == np.uint8:  # the one PCM type whose middle is not 0
        centred: Block = (samples.astype(np.float32) - np.float32(128)) / np.float32(128)
        return centred
    if kind in (np.int8, np.int16, np.int32):
        full = 2.0 ** (8 * kind.itemsize - 1)
        return (samples.astype(np.float64) / full).astype(np.float32)
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
