"""Whether a stream was cut, and ends within something.

WebM is a row of elements, MPEG-TS a row of packets, MP3 and AAC of frames, and each of them has a
size. Where the last one is not whole, whoever reads them leaves it out in silence. Ogg marks its
last page, and a WMA file tells at its beginning how large it is.
"""

import os
from typing import BinaryIO

from qwen3_tts_edge.sound import mpeg

_EBML = b"\x1a\x45\xdf\xa3"
_HEAD = 12
"""Bytes: the longest name of an element, and the longest size, which follows it."""

_MOST = 1 << 20
"""Elements that are looked at: five hours of sound."""

_PACKETS = ((188, 0), (192, 4), (204, 0))
"""How long packets of MPEG-TS are, and where in them the mark stands."""

_MARK, _MARKS = b"G", 8

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_SIZE, _FLAGS, _SENT = slice(24, 32), 72, 1
"""Where an ASF file, such as WMA, says how large it is, and the flag of what was sent while it was
made, and does not know."""

_PAGE, _KIND, _LAST = b"OggS", 5, 4
"""How a page of Ogg begins, at which byte its flags stand, and the flag of the last."""

_TAIL = 1 << 17
"""Bytes: two of the longest pages, and dozens of frames."""

_BEGINNING = 1 << 12


def torn_end(file: BinaryIO) -> str | None:
    """Say what the file ends within; None where all is whole, or of no such format."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    file.seek(0)
    head = file.read(_BEGINNING)
    if head.startswith(_EBML):
        return "the last element is not whole" if _within_element(file, size) else None
    if head.startswith(_PAGE):
        return None if _has_last_page(tail) else "the last page is missing"
    if head.startswith(_ASF):
        told = _told(head)
        return f"{size} of {told} bytes are there" if told > size else None
    for length, first in _PACKETS:
        if head[first::length][:_MARKS] == _MARK * _MARKS:
            return "the last packet is not whole" if size % length else None
    if mpeg.begins(head) and mpeg.ends_within_frame(tail):
        return "the last frame is not whole"
    return None


def _has_last_page(tail: bytes) -> bool:
    page = tail.rfind(_PAGE)
    kind = tail[page + _KIND : page + _KIND + 1]
    return page >= 0 and bool(kind) and bool(kind[0] & _LAST)


def _told(head: bytes) -> int:
    _, _, properties = head.partition(_PROPERTIES)
    if len(properties) <= _FLAGS or properties[_FLAGS] & _SENT:
        return 0
    return int.from_bytes(properties[_SIZE], "little")


def _within_element(file: BinaryIO, end: int) -> bool:
    at = 0
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(_HEAD)
        name = _width(head)
        width = _width(head[name:])
        if at == end or name > 4 or width > 8:  # no element
            return False
        if not width or len(head) < name + width:
            return True
        at += name + width
        size = int.from_bytes(head[name : name + width], "big") & (1 << 7 * width) - 1
        if size != (1 << 7 * width) - 1:  # else it is not told, and goes on with what is in it
            at += size
        if at > end:
            return True
    return False


def _width(number: bytes) -> int:
    """How many bytes a number of EBML has: one more than zeros in front of its first bit."""
    return 9 - number[0].bit_length() if number else 0
