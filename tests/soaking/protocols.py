"""How each protocol asks for speech, those over HTTP here. One more is a function, decorated."""

import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import aiohttp


class RejectedError(Exception):
    """The server is full, and says so."""


@dataclass(frozen=True)
class Ask:
    """What is asked, and where.

    Attributes:
        session: Of HTTP and websockets.
        url: Of the server, `http://127.0.0.1:PORT`.
        wyoming: Where it speaks Wyoming.
        text: To say.
        seed: Of it.
    """

    session: aiohttp.ClientSession
    url: str
    wyoming: str
    text: str
    seed: int


Speak = Callable[[Ask], AsyncGenerator[bytes, None]]
PROTOCOLS: dict[str, tuple[str | None, str | None, Speak]] = {}
"""By name: the sound format of the bytes, the text layout, and what gives the bytes or raises.

Where a protocol has no seed there is no format: that its end is told is all that can be known. One
whose text may go on has the streamed layout, the others the bundle's.
To close it before its end is to hang up.
"""


def protocol(name: str, form: str | None, layout: str | None = None) -> Callable[[Speak], Speak]:
    """Register a protocol, see `PROTOCOLS`."""

    def register(speak: Speak) -> Speak:
        PROTOCOLS[name] = (form, layout, speak)
        return speak

    return register


async def _post(ask: Ask, **fields: Any) -> AsyncGenerator[bytes, None]:
    body = {"input": ask.text, "seed": ask.seed, **fields}
    async with ask.session.post(f"{ask.url}/v1/audio/speech", json=body) as answer:
        if answer.status == 503:
            raise RejectedError
        if answer.status != 200:
            raise AssertionError(f"{answer.status}: {await answer.text()}")
        async for data in answer.content.iter_any():
            yield data


@protocol("http-pcm", "pcm")
def _pcm(ask: Ask) -> AsyncGenerator[bytes, None]:
    return _post(ask, response_format="pcm")


@protocol("http-mp3", "mp3")
def _mp3(ask: Ask) -> AsyncGenerator[bytes, None]:
    return _post(ask, response_format="mp3")


@protocol("http-sse", "pcm")
async def _sse(ask: Ask) -> AsyncGenerator[bytes, None]:
    text, kind = b"", ""
    async with aclosing(_post(ask, response_format="pcm", stream_format="sse")) as answer:
        async for data in answer:
            *lines, text = (text + data).split(b"\n")
            for event in (json.loads(line[6:]) for line in lines if line.startswith(b"data: ")):
                kind = event["type"]
                if kind == "speech.audio.delta":
                    yield base64.b64decode(event["audio"])
    assert kind == "speech.audio.done", f"the last event is {kind!r}"
