"""Clients of Wyoming: its own, and one that sends what it likes."""

import json
import socket

from wyoming.audio import AudioChunk
from wyoming.client import AsyncClient
from wyoming.event import Event, Eventable

from server.serving import Served

PATIENCE = 30.0
"""Seconds after which a client hangs."""


def connected(uri: str) -> AsyncClient:
    return AsyncClient.from_uri(uri, read_timeout=PATIENCE)


async def say(client: AsyncClient, *events: Eventable) -> None:
    for event in events:
        await client.write_event(event.event())


async def heard(client: AsyncClient, last: type[Eventable]) -> list[Event]:
    """Read events to the last one, or to the end."""
    events = []
    while (event := await client.read_event()) is not None:
        events.append(event)
        if last.is_type(event.type):
            break
    return events


def sound_of(events: list[Event]) -> bytes:
    return b"".join(AudioChunk.from_event(e).audio for e in events if AudioChunk.is_type(e.type))


def as_bytes(told: Eventable) -> bytes:
    """Give an event's bytes, with its data in its line."""
    return json.dumps(told.event().to_dict()).encode() + b"\n"


def plainly_connected(served: Served, *, receives: int | None = None) -> socket.socket:
    """Connect as no client of Wyoming's does; `receives` bytes are kept unread."""
    host, port = served.wyoming[0].removeprefix("tcp://").split(":")
    client = socket.socket()
    if receives is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    client.settimeout(PATIENCE)
    client.connect((host, int(port)))
    return client


def rest_of(client: socket.socket) -> bytes:
    """Read until the server parts."""
    return b"".join(iter(lambda: client.recv(1 << 16), b""))
