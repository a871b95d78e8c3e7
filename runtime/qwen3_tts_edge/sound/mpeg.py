"""The frames of MP3, of the two layers before it and of AAC: a row of them is the whole file.

Source: ISO/IEC 11172-3 and 13818-3, 2.4.1.3 and 2.4.2.3; MPEG 2.5 halves the rates once more.
    ISO/IEC 13818-7, 6.2, for AAC.
"""

_TAG = b"ID3"
_SYNC, _HEADER = b"\xff", 7
"""How a frame begins, and the bytes of which its length is read."""

_ROW = 4
"""Frames on end that are no chance."""

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
    return head.startswith(_TAG) or _length(head[:_HEADER]) is not None


def ends_within_frame(tail: bytes) -> bool:
    """Tell whether the last frame is not whole, as none is that a coder has written.

    Args:
        tail: The end of a file of such frames.
    """
    for start in range(len(tail)):
        at, frames = start, 0
        while (length := _length(tail[at : at + _HEADER])) and at + length <= len(tail):
            at, frames = at + length, frames + 1
        if frames >= _ROW:
            return bool(length) or (tail[at:][:1] == _SYNC and len(tail) - at < _HEADER)
    return False


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
