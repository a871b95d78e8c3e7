"""The tag that may stand before a sound, in which players find its title.

Source: https://id3.org/id3v2.4.0-structure, 3.1
"""

TAG = b"ID3"
"""How it begins."""

HEAD = 10
"""Bytes that say how long it is."""


def tag_length(head: bytes) -> int:
    """Say how many bytes of a file are its tag, by the first `HEAD`; 0 where there is none."""
    if len(head) < HEAD or not head.startswith(TAG):
        return 0
    length = 0
    for byte in head[6:HEAD]:
        length = length << 7 | byte & 0x7F
    return HEAD + length
