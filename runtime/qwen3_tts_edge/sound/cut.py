"""Whether a sound file ends where it should, or was not copied whole.

A WAV, FLAC or MP3 file says at its beginning how much it holds. An Ogg stream does not, but marks
its last page.
"""

import logging
import re
from pathlib import Path
from typing import BinaryIO

import soundfile

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

_PAGE, _FLAGS, _LAST = b"OggS", 5, 4
"""How a page of Ogg begins, at which byte its flags stand, and the flag of the last."""

_LONGEST_PAGE = 1 << 16
_log = logging.getLogger(__name__)


def warn_if_cut(sound: soundfile.SoundFile, read: int, name: str) -> None:
    """Say so where a file ends before its header or its last page.

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
    elif sound.format == "OGG" and not _has_last_page(sound.name):
        _log.warning(
            "%s is cut: its last page is missing, and %.1f s are there; copy it again", name, there
        )


def _has_last_page(file: str | Path | BinaryIO) -> bool:
    if isinstance(file, str | Path):
        with Path(file).open("rb") as opened:
            return _has_last_page(opened)
    end = file.seek(0, 2)
    file.seek(max(0, end - 2 * _LONGEST_PAGE))
    tail = file.read()
    page = tail.rfind(_PAGE)
    flags = tail[page + _FLAGS : page + _FLAGS + 1]
    return page >= 0 and bool(flags) and bool(flags[0] & _LAST)
