"""Recordings that are named by an address: from public hosts, within limits, or not at all."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.server.settings import Settings
from qwen3_tts_edge.server.speaking.admission import RefusedError
from qwen3_tts_edge.server.voices.references import References
from server.serving import Served

pytest.importorskip("aiohttp")
from aiohttp import web

from qwen3_tts_edge.server.voices import remote
from qwen3_tts_edge.server.voices.remote import Remote, public

SOUND = b"RIFF" + b"x" * 5000


@asynccontextmanager
async def host(asked: list[str]) -> AsyncIterator[str]:
    """Run a host on this machine, which is as private as one can be."""

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        match request.path:
            case "/sound":
                return web.Response(body=SOUND)
            case "/packed":
                headers = {"content-encoding": "gzip"}
                return web.Response(body=gzip.compress(bytes(1 << 20)), headers=headers)
            case "/slow":
                await asyncio.sleep(60)
            case "/endless":
                stream = web.StreamResponse()
                await stream.prepare(request)
                while True:
                    await stream.write(SOUND)
            case "/round":
                raise web.HTTPFound("/round")
            case "/inside":
                raise web.HTTPFound(f"http://localhost:{port}/sound")
            case "/file":
                raise web.HTTPFound("file:///etc/passwd")
        raise web.HTTPNotFound(text="a secret of this host")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    opened = socket.create_server(("127.0.0.1", 0))
    port = opened.getsockname()[1]
    await web.SockSite(runner, opened).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def with_host(use: Callable[[str, list[str]], Awaitable[None]]) -> None:
    async def run() -> None:
        asked: list[str] = []
        async with host(asked) as address:
            await use(address, asked)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:7f00:1::", False),
        ("2001:db8::1", False),
        ("fc00::1", False),
        ("fe80::1%eth0", False),
        ("ff02::1", False),
    ],
)
def test_which_addresses_are_anybodys(address: str, expected: bool) -> None:
    assert public(address) is expected


def test_a_host_that_only_this_machine_reaches_is_not_connected_to() -> None:
    """However it is written: a name, a number, another family."""

    async def use(address: str, asked: list[str]) -> None:
        port = address.rsplit(":", 1)[1]
        names = ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "0.0.0.0")
        for name in (*names, "[::ffff:127.0.0.1]", "user@127.0.0.1"):
            with pytest.raises(InputError, match="must lead to a public host"):
                await Remote(largest=1 << 20).fetched(f"http://{name}:{port}/sound")
        assert asked == []

    with_host(use)


def test_a_redirect_is_no_way_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first host is public here; the one that it sends on to is not."""

    async def use(address: str, asked: list[str]) -> None:
        allowed = iter([True])
        monkeypatch.setattr(remote, "public", lambda _: next(allowed, False))
        for path in ("/inside", "/file"):
            with pytest.raises(InputError, match="cannot be fetched"):
                await Remote(largest=1 << 20).fetched(address + path)
            allowed = iter([True])
        assert asked == ["/inside", "/file"]

    with_host(use)


def test_what_a_public_host_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "public", lambda _: True)
    monkeypatch.setattr(remote, "_SECONDS", 0.5)

    async def use(address: str, asked: list[str]) -> None:
        fetch = Remote(largest=1 << 20).fetched
        assert await fetch(f"{address}/sound") == SOUND
        assert len(await fetch(f"{address}/packed")) < 2000  # nothing is unpacked
        with pytest.raises(InputError, match="larger than 1048576 bytes"):
            await fetch(f"{address}/endless")
        for path in ("/slow", "/round", "/missing"):
            with pytest.raises(InputError) as failed:
                await fetch(address + path)
            assert "secret" not in str(failed.value)
        assert asked.count("/round") <= 4

    with_host(use)


@pytest.mark.parametrize(
    "address",
    ["http://", "http:", "https://[", "http://\0", "http://x:99999/", "http://" + "a" * 300],
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(InputError, match="cannot be fetched"):
        asyncio.run(Remote(largest=1).fetched(address))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("http://127.0.0.1/x.wav", "fetches no recordings"),
        ("HTTPS://example.org/x.wav", "fetches no recordings"),
        ("file:///etc/passwd", "the name of a recording"),
        ("ftp://example.org/x.wav", "the name of a recording"),
        ("/etc/passwd", "it is not|is not a sound file"),
        ("../../etc/passwd", "it is not|is not a sound file"),
        ("data:audio/wav,abc", "not base64"),
    ],
)
def test_no_address_and_no_path_is_opened_unless_a_flag_says_so(
    cloning: Served, source: str, message: str
) -> None:
    answer = httpx2.post(
        f"{cloning.url}/v1/audio/speech", json={"input": "Yes.", "ref_audio": source}
    )
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == "ref_audio"
    assert any(each in error["message"] for each in message.split("|")), error


def test_the_flag_makes_the_server_fetch(cloning: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().remote_audio is False
    fetched: list[str] = []

    class Fetches:
        async def fetched(self, address: str) -> bytes:
            fetched.append(address)
            return b"no sound"

    monkeypatch.setattr(cloning.service.references, "_remote", Fetches())
    body = {"input": "Yes.", "ref_audio": "https://example.org/anna.wav"}
    answer = httpx2.post(f"{cloning.url}/v1/audio/speech", json=body)
    assert "not a sound file" in answer.json()["error"]["message"]
    assert fetched == ["https://example.org/anna.wav"]


def test_nothing_is_fetched_for_who_cannot_speak_with_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fetches:
        async def fetched(self, _: str) -> bytes:
            raise AssertionError("it was fetched")

    monkeypatch.setattr(served.service.references, "_remote", Fetches())
    body = {"input": "Yes.", "ref_audio": "https://example.org/anna.wav"}
    answer = httpx2.post(f"{served.url}/v1/audio/speech", json=body)
    assert answer.status_code == 400
    assert "does not clone voices" in answer.json()["error"]["message"]


def test_only_so_many_are_held_in_memory(cloning: Served) -> None:
    class Waits:
        async def fetched(self, _: str) -> bytes:
            await asyncio.Event().wait()
            return SOUND

    async def run() -> None:
        listener = cloning.service.synthesizer.listener
        references = References(listener, largest=1 << 20, remote=Waits())  # type: ignore[arg-type]
        waiting = [asyncio.create_task(references.voice("https://a/", None)) for _ in range(8)]
        await asyncio.sleep(0)
        for _ in range(2):
            with pytest.raises(RefusedError, match="8 recordings wait"):
                await references.voice("https://a/", None)
            waiting.pop().cancel()
            await asyncio.sleep(0)
            waiting.append(asyncio.create_task(references.voice("https://a/", None)))
            await asyncio.sleep(0)
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)

    asyncio.run(run())
