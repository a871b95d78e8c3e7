"""Reference audio → the samples that the encoders hear: mono float32 at 24 kHz.

In: a sound file by its path, its bytes or an open file, or samples with their rate; any rate and
any number of channels. Out: `Reference`, and an error or a warning where the recording is no
material for a clone. It knows no bundle.

Channels are averaged and rates converted as the official package does, so the samples are its own;
what is refused here it takes in silence. Nothing is made louder or filtered. A long silence at an
end is left out, for a clone goes on from the end and begins like the beginning: a recording that
has none stays as it is, sample for sample.
"""

import hashlib
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from qwen3_tts_edge.arrays import Array, Block, Samples, as_array, is_whole
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.paths import expanded
from qwen3_tts_edge.sound.reading import (
    check_rate,
    mixed,
    open_sound,
    read_blocks,
    resampled,
    scaled,
)
from qwen3_tts_edge.voices.mel import SAMPLE_RATE
from qwen3_tts_edge.voices.silence import LEAST_SPEECH, find_speech

Source = str | Path | bytes | BinaryIO | tuple[Array, int]
"""A file's path, its bytes, an open binary file, or (samples, sample rate).

Samples are (n,), (n, channels) or (channels, n), the longer axis being time. Floating point lies
in [-1, 1]; integers (int8, uint8, int16, int32) are PCM and are scaled.
"""

MIN_SECONDS, MAX_SECONDS = 1.0, 60.0

_LENGTH = (
    f"a voice is cloned from {MIN_SECONDS:g} to {MAX_SECONDS:g} s of speech, 5 to 15 s are best"
)
_LARGEST = 1 << 28  # bytes; 60 s of stereo float64 at 192 kHz are 184 MB
_HIGHEST_RATE, _MOST_CHANNELS = 192_000, 8
_LOUDEST = 8.0  # a float recording may overshoot 1, by that much it is no float recording
_STEPS = {"PCM_S8": 2.0**-7, "PCM_U8": 2.0**-7, "PCM_16": 2.0**-15}
"""What the lowest bit of a file's samples is; that of others is nothing."""

_NEAR_FULL_SCALE, _FLAT = 0.98, 3
_TOO_MUCH_CLIPPED = 1e-3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Reference:
    """A recording of a voice.

    Attributes:
        samples: float32 (n,), mono, 24 kHz.
        name: The file's name without its folder; None for samples and bytes.
        sha256: Of the file as it was read or, for samples, of `samples`.
        clipped: The share of the recording that was cut off at full scale, 0 to 1.
    """

    samples: Samples
    name: str | None
    sha256: str
    clipped: float

    @property
    def seconds(self) -> float:
        """Give its length."""
        return len(self.samples) / SAMPLE_RATE


def read_reference(source: Source, *, keep_silence: bool = False) -> Reference:
    """Read a recording of a voice.

    One that is clipped or cut is used, with a warning in the log; so is it said there what silence
    was left out.

    Args:
        source: Where it is, see `Source`.
        keep_silence: Leave nothing out, as the official package does. Else of more than half a
            second of silence at an end a quarter is left.

    Raises:
        InputError: No sound file, shorter than 1 s or longer than 60 s, silent, of too many
            channels or too high a rate, or samples that are no sound.
        OSError: The file cannot be opened.
    """
    if not isinstance(keep_silence, bool):
        raise InputError.of("keep_silence", keep_silence, "True or False")
    name, sha256 = None, None
    if isinstance(source, tuple):
        if len(source) != 2:
            raise InputError(f"the reference is {len(source)} values; expected (samples, rate)")
        called = "the reference"
        array = as_array("the reference", source[0])
        rate, blocks = _array(array, source[1])
        step = _STEPS["PCM_U8"] if array.dtype.itemsize == 1 else 0.0
    else:
        data, name = _bytes(source)
        called = name or "the reference"
        sha256 = hashlib.sha256(data).hexdigest()
        sound = open_sound(io.BytesIO(data), called, seconds=MAX_SECONDS + 1)
        step = _STEPS.get(sound.subtype, 0.0)
        _check_form(sound.samplerate, sound.channels, called)
        rate, blocks = sound.samplerate, read_blocks(sound, called)
    mono, clipped = _mixed(blocks, rate, called)
    samples = resampled(mono, rate, SAMPLE_RATE)
    samples = _speech(samples, step, called, keep_silence=keep_silence)
    if clipped > _TOO_MUCH_CLIPPED:
        _log.warning(
            "%s: %.1f %% of it is clipped at full scale, and the clone may sound so; record it "
            "again more quietly",
            called,
            100 * clipped,
        )
    sha256 = sha256 or hashlib.sha256(samples.astype("<f4").tobytes()).hexdigest()
    return Reference(samples, name, sha256, clipped)


def _check_form(rate: int, channels: int, name: str) -> None:
    """Refuse what nobody records a voice in: a small file of it may unpack to gigabytes."""
    if rate > _HIGHEST_RATE:
        raise InputError(
            f"{name} has a sample rate of {rate} Hz; expected {_HIGHEST_RATE} Hz at most",
            "convert it to 48000 Hz",
        )
    if channels > _MOST_CHANNELS:
        raise InputError(
            f"{name} has {channels} channels; expected {_MOST_CHANNELS} at most",
            "convert it to one channel",
        )


def _bytes(source: str | Path | bytes | BinaryIO) -> tuple[bytes, str | None]:
    """Read a file whole. One over `_LARGEST` holds more than 60 s, whatever its format."""
    if isinstance(source, str | Path):
        path = expanded(source, "ref_audio", file=True)
        with path.open("rb") as file:
            return _limited(file, path.name), _written(path.name)
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), None
    if not hasattr(source, "read"):
        raise InputError(
            f"the reference is a {type(source).__name__}; expected a path, bytes, an open file or "
            "(samples, sample rate)"
        )
    data = _limited(source, "the reference")
    name = getattr(source, "name", None)
    return data, _written(Path(name).name) if isinstance(name, str) else None


def _written(name: str) -> str:
    """Give a file's name as it can be kept: old disks have names that are not UTF-8."""
    return name.encode(errors="replace").decode()


def _limited(file: BinaryIO, name: str) -> bytes:
    data = file.read(_LARGEST + 1)
    if not isinstance(data, bytes):
        raise InputError(f"{name} is open as text", "open it in binary mode")
    if len(data) > _LARGEST:
        raise InputError(f"{name} has over {_LARGEST >> 20} MB", f"cut it to {MAX_SECONDS:g} s")
    return data


def _array(samples: Array, rate: int) -> tuple[int, Iterator[Block]]:
    if not is_whole(rate):
        raise InputError.of("the sample rate", rate, "a whole number, such as 44100")
    check_rate(int(rate), "the reference")
    if samples.ndim not in (1, 2) or not samples.size:
        raise InputError(
            f"the reference has shape {samples.shape}; expected (n,), (n, channels) or "
            "(channels, n)"
        )
    if samples.ndim == 1:
        samples = samples[:, None]
    elif samples.shape[0] < samples.shape[1]:
        samples = samples.T
    _check_length(len(samples), int(rate), "the reference")
    return int(rate), iter([scaled(samples, "the reference")])


def _mixed(blocks: Iterator[Block], rate: int, name: str) -> tuple[Samples, float]:
    """Mix the channels and measure the clipped share; stop reading where it gets too long."""
    mono, clipped, length = [], 0.0, 0
    for block in blocks:
        length += len(block)
        if length > MAX_SECONDS * rate:
            break
        if (peak := float(np.abs(block).max())) > _LOUDEST:
            raise InputError(
                f"{name} has samples up to {peak:g}",
                "floating point must lie in [-1, 1], so divide integer PCM by its full range or "
                "give it as integers",
            )
        mono.append(mixed(block))
        clipped += _clipped(block)
    _check_length(length, rate, name)
    return np.concatenate(mono), clipped / length


def _clipped(block: Block) -> float:
    """Count samples in flat tops near full scale, three or more equal ones: a mean of channels."""
    loud = np.abs(block[1:-1]) >= _NEAR_FULL_SCALE
    flat = loud & (block[1:-1] == block[:-2]) & (block[1:-1] == block[2:])
    tops = np.zeros(block.shape, bool)
    for shift in range(_FLAT):
        tops[shift : shift + len(flat)] |= flat
    return float(tops.mean(axis=1).sum())


def _check_length(length: int, rate: int, name: str) -> None:
    if not MIN_SECONDS * rate <= length <= MAX_SECONDS * rate:
        too_long = length > MAX_SECONDS * rate
        found = f"longer than {MAX_SECONDS:g} s" if too_long else f"{length / rate:.2f} s"
        raise InputError(f"{name} is {found}", _LENGTH)


def _speech(samples: Samples, step: float, name: str, *, keep_silence: bool) -> Samples:
    """Refuse silence, and leave out what of it is at the ends."""
    found = find_speech(samples, step)
    if found is None:
        raise InputError(
            f"{name} is silent: in {len(samples) / SAMPLE_RATE:.2f} s are no {LEAST_SPEECH:g} s "
            "that stand out",
            "check the microphone, and that its channels do not cancel each other",
        )
    if keep_silence or not (found.before or found.after):
        return samples
    kept = samples[found.first : found.last]
    if len(kept) < MIN_SECONDS * SAMPLE_RATE:
        raise InputError(
            f"{name} has {len(kept) / SAMPLE_RATE:.2f} s of speech, the rest is silence", _LENGTH
        )
    _log.warning(
        "%s: of the silence at its ends %.1f s are left out, %.1f s before the speech and %.1f s "
        "after it; --keep-silence, or keep_silence=True, keeps all",
        name,
        found.before + found.after,
        found.before,
        found.after,
    )
    return kept
