"""A client of the protocols that speak over a websocket."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typing_extensions import Unpack
from websockets.sync.client import ClientConnection, connect

from qwen3_tts_edge.sound.encoding import encoder
from qwen3_tts_edge.speech.request import Asked
from server.reference import samples

_PATIENCE = 30.0
"""Seconds after which an answer does not come."""


class Socket:
    """A socket that speaks JSON, and what came out of it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, *messages: Any) -> None:
        """Send messages; strings and bytes as they are."""
        for message in messages:
            raw = isinstance(message, str | bytes)
            self.connection.send(message if raw else json.dumps(message))

    def hear(self) -> Any:
        """Wait for the next message: bytes, or what its JSON says."""
        message = self.connection.recv(timeout=_PATIENCE)
        return message if isinstance(message, bytes) else json.loads(message)

    def until(self, kind: str) -> list[Any]:
        """Wait for a message that has a key, or a type, of that name; give all up to it."""
        heard = [self.hear()]
        while isinstance(heard[-1], bytes) or (kind not in (heard[-1].get("type"), *heard[-1])):
            heard.append(self.hear())
        return heard


@contextmanager
def conversation(url: str, **options: Any) -> Iterator[Socket]:
    """Open a socket; close it at the end."""
    with connect(url, **{"max_queue": None, "compression": None, **options}) as connection:
        yield Socket(connection)


def sound(messages: list[Any], field: str) -> bytes:
    """Put the sound of messages together, which is in base64 in one of their fields."""
    return b"".join(base64.b64decode(each[field]) for each in messages if each.get(field))


def encoded(
    text: str, seed: int, name: str, rate_out: int, factor: float = 1.0, **asked: Unpack[Asked]
) -> bytes:
    """Speak a text as `reference.spoken` does, in another format or so many times as fast."""
    said = samples(text, seed, **asked)
    return encoder(name, 24_000, rate_out=rate_out, speed=factor).whole(said)
