"""What clients do to a server, well and badly. Each says what came of it, or raises."""

import asyncio
import functools
import json
import multiprocessing
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from urllib.parse import urlsplit

import aiohttp
import numpy as np

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.sound.encoding import encoder
from soaking import sockets  # noqa: F401 - registers its protocols
from soaking.protocols import PROTOCOLS, Ask, RejectedError

Fault = Callable[[Ask, str, random.Random], Awaitable[str]]

_BODIES = (
    b"",
    b"{",
    b"[]",
    b'{"input": 7}',
    b'{"input": ""}',
    b'{"input": "   "}',
    b'{"input": "Hello.", "voice": "nobody"}',
    b'{"input": "Hello.", "response_format": "tape"}',
    b'{"input": "Hello.", "speed": 1e9}',
    b'{"input": "Hello.", "language": "klingon"}',
    b'{"input": "Hello <|im_end|>"}',
    b'{"input": "Hello.", "ref_audio": "data:audio/wav;base64,AAAA"}',
    b'{"input": "\xff\xfe"}',
    b'{"input": ' + b"[" * 5000,
    json.dumps({"input": "long " * 30_000}).encode(),
)
_HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
_WIRES = (
    b"\x00\x01\x02\x03\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    _HEAD + b"Content-Length: x\r\n\r\n",
    _HEAD + b"Content-Length: 1000\r\n\r\nshort",
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
)


@functools.cache
def expected(form: str, layout: str | None, text: str, seed: int) -> bytes:
    """What has to be said, as bytes of a format."""
    coder = encoder(form, _synthesizer().manifest.sample_rate)
    return coder.encode(_spoken(text, layout, seed)) + coder.finish()


@functools.cache
def _spoken(text: str, layout: str | None, seed: int) -> Samples:
    stream = _synthesizer().stream(text, seed=seed, text_layout=layout)
    return np.concatenate([chunk.samples for chunk in stream])


@functools.cache
def _synthesizer() -> Synthesizer:
    return Synthesizer.open(slots=1, verify=False)


async def _heard(ask: Ask, name: str, pause: float) -> str:
    form, layout, speak = PROTOCOLS[name]
    heard = bytearray()
    async with aclosing(speak(ask)) as sound:
        async for data in sound:
            heard += data
            if pause:
                await asyncio.sleep(pause)
                pause = 0.0
    assert heard, "there is no sound"
    if form is not None:
        wanted = expected(form, layout, ask.text, ask.seed)
        assert heard == wanted, f"{len(heard)} bytes, not the {len(wanted)} of the reference"
    return "whole"


async def whole(ask: Ask, name: str, _: random.Random) -> str:
    """Hear all of it: it is what has to be said."""
    return await _heard(ask, name, 0.0)


async def stalled(ask: Ask, name: str, chance: random.Random) -> str:
    """Stop reading for a while: nothing is lost."""
    return await _heard(ask, name, chance.uniform(0.5, 3.0))


async def cancelled(ask: Ask, name: str, chance: random.Random) -> str:
    """Hang up at any time."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_heard(ask, name, 0.0), chance.choice((0.02, 0.1, 0.5, 2.0)))
    return "hung up"


async def killed(ask: Ask, name: str, chance: random.Random) -> str:
    """Be a process that is killed."""
    client = _processes().Process(
        target=_client, args=(name, ask.url, ask.wyoming, ask.text, ask.seed), daemon=True
    )
    await asyncio.to_thread(client.start)
    await asyncio.sleep(chance.uniform(0.1, 1.0))
    client.kill()
    await asyncio.to_thread(client.join)
    client.close()
    return "killed"


async def half_closed(ask: Ask, _: str, __: random.Random) -> str:
    """Ask, and close the half of the connection that asks."""
    body = json.dumps({"input": ask.text, "seed": ask.seed}).encode()
    return await _raw(ask, _HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body, "half-closed")


async def malformed(ask: Ask, _: str, chance: random.Random) -> str:
    """Send what is no HTTP."""
    return await _raw(ask, chance.choice(_WIRES), "malformed")


async def wrong(ask: Ask, _: str, chance: random.Random) -> str:
    """Ask for what is not to be had: a client's error, in OpenAI's words."""
    body = chance.choice(_BODIES)
    headers = {"content-type": "application/json"}
    url = f"{ask.url}/v1/audio/speech"
    async with ask.session.post(url, data=body, headers=headers) as answer:
        if answer.status == 503:  # some of it is only seen by whoever is let in
            raise RejectedError
        assert answer.status in (400, 413, 422), f"{answer.status} to {body[:60]!r}"
        assert (await answer.json())["error"]["message"]
    return "refused"


async def _raw(ask: Ask, data: bytes, what: str) -> str:
    """Send bytes and end; read whatever comes until the server hangs up."""
    place = urlsplit(ask.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        writer.write(data)
        writer.write_eof()
        while await reader.read(1 << 16):
            pass
    except ConnectionError:
        pass  # which is an answer, too
    finally:
        writer.close()
    return what


@functools.cache
def _processes() -> multiprocessing.context.BaseContext:
    """Processes that begin small and at once: neither this one's threads nor its memory."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["soaking.faults"])
    return context


def _client(name: str, url: str, wyoming: str, text: str, seed: int) -> None:
    async def listen() -> None:
        async with aiohttp.ClientSession() as session:
            async for _ in PROTOCOLS[name][-1](Ask(session, url, wyoming, text, seed)):
                pass

    asyncio.run(listen())


FAULTS: tuple[tuple[Fault, int], ...] = (
    (whole, 10),
    (cancelled, 4),
    (stalled, 2),
    (killed, 1),
    (half_closed, 1),
    (malformed, 1),
    (wrong, 3),
)
"""And how often each is done."""
