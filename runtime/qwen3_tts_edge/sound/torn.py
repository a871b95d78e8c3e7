"""Whether a stream that tells no length was cut, and ends within something.

WebM is a row of elements and MPEG-TS a row of packets, and each of them has a size. Where the last
one is not whole, whoever reads them leaves it out in silence.
"""

import os
from typing import BinaryIO

_EBML = b"\x1a\x45\xdf\xa3"
_HEAD = 12
"""Bytes: the longest name of an element, and the longest size, which follows it."""

_MOST = 1 << 20
"""Elements that are looked at: five hours of sound."""

_PACKETS = ((188, 0), (192, 4), (204, 0))
"""How long packets of MPEG-TS are, and where in them the mark stands."""

_MARK, _MARKS = b"G", 8


def torn_end(file: BinaryIO) -> str | None:
    """Say what the file ends within; None where all is whole, or of no such format."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(_PACKETS[-1][0] * _MARKS)
    if head.startswith(_EBML):
        return "the last element is not whole" if _within_element(file, size) else None
    for length, first in _PACKETS:
        if head[first::length][:_MARKS] == _MARK * _MARKS:
            return "the last packet is not whole" if size % length else None
    return None


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
