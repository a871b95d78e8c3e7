"""Whether a sound file ends where it should, or was not copied whole.

A WAV or FLAC file, and many an MP3, says at its beginning how much it holds. Of others see `torn`.
"""

import logging
import re
from pathlib import Path
from typing import BinaryIO

import soundfile

from qwen3_tts_edge.sound.torn import torn_end

_CLAIM = re.compile(
    r"\b(?:RIFF|RIFX|riff|Riff size|FORM|SSND|BODY|data|Data Size)\s*: (\d+) \(should be (\d+)\)"
)
"""What libsndfile notes of a header that tells of more bytes than there are. Of bytes a second and
the like, which many programs write wrongly, it notes the same."""

_LARGEST_CLAIM = 0x7FFF_0000
"""Bytes. What is sent while it is made claims as much as its header holds, and nobody minds."""

_CUT = 0.01
"""The share of a file that may be missing without a word."""

DELAY = 0.2
"""Seconds. Packed in a WAV file some coders tell of as much more than they give."""

_log = logging.getLogger(__name__)


def warn_if_cut(sound: soundfile.SoundFile, read: int, name: str) -> None:
    """Say so where a file ends before its header says, or within something.

    Args:
        sound: The file.
        read: The frames of samples that were read of it.
        name: What a message calls it.
    """
    claims = [(sound.frames, read)] if sound.frames - read > DELAY * sound.samplerate else []
    claims += [(int(told), int(there)) for told, there in _CLAIM.findall(sound.extra_info)]
    missing = max(
        (1 - there / told for told, there in claims if there < told < _LARGEST_CLAIM), default=0.0
    )
    there = read / sound.samplerate
    if missing > _CUT:
        _log.warning(
            "%s is cut: its header tells of more, %.0f %% is missing and %.1f s are there; copy it "
            "again",
            name,
            100 * missing,
            there,
        )
    elif (torn := _torn_end(sound.name)) is not None:
        _log.warning("%s is cut: %s, and %.1f s are there; copy it again", name, torn, there)


def _torn_end(file: str | Path | BinaryIO) -> str | None:
    if not isinstance(file, str | Path):
        return torn_end(file)
    with Path(file).open("rb") as opened:
        return torn_end(opened)
