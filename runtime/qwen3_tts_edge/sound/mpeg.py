"""The frames of MP3, of the two layers before it and of AAC: a row of them is the whole file.

Source: ISO/IEC 11172-3 and 13818-3, 2.4.1.3 and 2.4.2.3; MPEG 2.5 halves the rates once more.
    ISO/IEC 13818-7, 6.2, for AAC.
"""

from typing import BinaryIO

from qwen3_tts_edge.sound import id3

_SYNC, _HEADER = b"\xff", 7
"""How a frame begins, and the bytes of which its length is read."""

_ROW = 4
"""Frames on end that are no chance."""

_SAMPLES = {0x02: 576, 0x06: 384, 0x0E: 384}
"""Of a frame of layer 3, but of MPEG 1, and of layer 1: by the bits that say which it is."""

_LAYER = 0x06
"""The bits that say which layer it is; AAC has none, and its frames may have a few bytes each."""

_TELLING = (b"Xing", b"Info", b"VBRI")
"""What stands in a first frame that says how many follow."""

_MARKED, _SOUGHT = 64, 1 << 16
"""Bytes of a frame where that may stand, and of a file where its first frame may."""

_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s that a frame may have, by version and layer."""

_RATES = (44_100, 48_000, 32_000)
_HALVED = {3: 0, 2: 1, 0: 2}
"""How often the rates are halved, by the two bits of the version: MPEG 1, 2 and 2.5."""


def begins(head: bytes) -> bool:
    """Tell whether a file may be of such frames; they may stand behind a tag."""
    return head.startswith(id3.TAG) or _length(head[:_HEADER]) is not None


def ends_within_frame(tail: bytes) -> bool:
    """Tell whether the last frame is not whole, as none is that a coder has written.

    Args:
        tail: The end of a file of such frames.
    """
    at = _first(tail)
    while (length := _length(tail[at : at + _HEADER])) and at + length <= len(tail):
        at += length
    return bool(length) or (tail[at:][:1] == _SYNC and len(tail) - at < _HEADER)


def untold(file: BinaryIO) -> int:
    """Count the samples of an MP3 that does not say how many it has; 0 of any other.

    Args:
        file: Open, and left where the counting ends.
    """
    file.seek(0)
    at = id3.tag_length(file.read(id3.HEAD))
    file.seek(at)
    beginning = file.read(_SOUGHT)
    at += (first := _first(beginning))
    if any(mark in beginning[first:][:_MARKED] for mark in _TELLING):
        return 0
    samples = 0
    while (length := _length(header := _read(file, at))) and header[1] & _LAYER:
        at += length
        samples += _SAMPLES.get(header[1] & 0x0E, 1152)
    return samples


def _read(file: BinaryIO, at: int) -> bytes:
    file.seek(at)
    return file.read(_HEADER)


def _first(data: bytes) -> int:
    """Find where the first of several frames on end begins; the end where there are none."""
    for start in range(len(data)):
        at, frames = start, 0
        while frames < _ROW and (length := _length(data[at : at + _HEADER])):
            at, frames = at + length, frames + 1
        if frames == _ROW and at <= len(data):
            return start
    return len(data)


def _length(header: bytes) -> int | None:
    """Say how many bytes a frame has, by those that it begins with; None where it is none."""
    if len(header) < _HEADER or not header.startswith(_SYNC) or header[1] & 0xE0 != 0xE0:
        return None
    if header[1] & 0x16 == 0x10:
        return (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5 or None
    halved, layer = _HALVED.get(header[1] >> 3 & 3), 4 - (header[1] >> 1 & 3)
    bits, rate = header[2] >> 4, header[2] >> 2 & 3
    if halved is None or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    bitrate = 1000 * _KBITS[min(halved + 1, 2), layer][bits - 1]
    padding, rate = header[2] >> 1 & 1, _RATES[rate] >> halved
    if layer == 1:
        return 4 * (12 * bitrate // rate + padding)
    return (72 if layer == 3 and halved else 144) * bitrate // rate + padding
