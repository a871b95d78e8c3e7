"""Wyoming's events as they come: in bounded memory, and of the right types.

The reader that comes with the protocol believes the lengths that a client names.

Source: https://github.com/OHF-Voice/wyoming
"""

import asyncio
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from wyoming.event import Event

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.files import NOT_JSON

T = TypeVar("T")
LINE = 64 << 10
"""Bytes of an event's first line."""

_Length = Annotated[int, msgspec.Meta(ge=0)] | None


class _Header(msgspec.Struct):
    type: str
    data: dict[str, Any] | None = None
    data_length: _Length = None
    payload_length: _Length = None


class VoiceAsked(msgspec.Struct):
    """Who shall speak.

    Attributes:
        name: As it was published, or by another name that is known.
        language: Its code, for who names no voice.
        speaker: Of the voice, where it has several.
    """

    name: str | None = None
    language: str | None = None
    speaker: str | None = None


class Start(msgspec.Struct):
    """The data of `synthesize-start`."""

    voice: VoiceAsked | None = None
    text_format: Literal["text"] | None = None


class Chunk(msgspec.Struct):
    """The data of `synthesize-chunk`."""

    text: str


class Whole(Start, kw_only=True):
    """The data of `synthesize`."""

    text: str


async def read(reader: asyncio.StreamReader, largest: int) -> Event | None:
    """Read an event; its payload is left out, for nobody sends sound to who speaks.

    Args:
        reader: Whose own limit is `LINE`.
        largest: Bytes of the event's data, and of its payload.

    Returns:
        None where the client is gone.

    Raises:
        InputError: It is no event, or too large.
    """
    try:
        line = await reader.readline()
    except ValueError:
        raise InputError(f"the line is longer than {LINE} bytes; an event was expected") from None
    if not line.endswith(b"\n"):
        return None
    header = _decoded(line, _Header)
    size, left = header.data_length or 0, header.payload_length or 0
    if max(size, left) > largest:
        raise InputError(
            f"{header.type!r} has {size} bytes of data and {left} of payload; {largest} is the most"
        )
    data = header.data or {}
    try:
        if size:
            data |= _decoded(await reader.readexactly(size), dict[str, Any])
        while left:
            left -= len(await reader.readexactly(min(left, LINE)))
    except asyncio.IncompleteReadError:
        return None
    return Event(header.type, data)


def data_of(event: Event, kind: type[T]) -> T:
    """Read an event's data.

    Raises:
        InputError: It is not of that kind.
    """
    try:
        return msgspec.convert(event.data, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"the data of {event.type!r} is wrong: {error}") from None


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except NOT_JSON as error:
        raise InputError(f"this is no event of Wyoming's: {error}") from None
