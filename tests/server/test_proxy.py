"""Behind nginx, by its recipes: sound, events, websockets, the page and Wyoming come through."""

import asyncio
import base64
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from wyoming.audio import AudioChunk, AudioStop
from wyoming.tts import Synthesize

from qwen3_tts_edge.cli.serve import serve
from qwen3_tts_edge.server.speaking.session import Session
from server.chromium import PROGRAM, Page, chromium, opened
from server.reference import spoken
from server.serving import Served
from server.sockets import conversation
from server.test_conversation import PROTOCOLS, until_sound
from server.test_recipes import RECIPES
from server.wyoming_clients import connected, heard, say, sound_of

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
pytestmark = pytest.mark.skipif(NGINX is None, reason="there is no nginx")

RECIPE, WYOMING = (RECIPES / "nginx" / f"qwen3-tts-edge{each}.conf" for each in ("", "-wyoming"))
MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
TEXT = "The train to the coast leaves at seven, and the last one back is before midnight. " * 2
AROUND = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
"""
HTTP = """
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/recipe.conf;
}}
"""
STREAM = """
include {folder}/recipe.conf;
"""


@contextmanager
def nginx(folder: Path, around: str, recipe: str) -> Iterator[None]:
    """Run nginx with a recipe, and with as much around it as its page says."""
    (folder / "recipe.conf").write_text(recipe)
    (folder / "nginx.conf").write_text(around.format(folder=folder))
    command = [str(NGINX), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    if 'unknown directive "stream"' in checked.stderr:
        pytest.skip("this nginx has no stream")
    assert checked.returncode == 0, checked.stderr
    with subprocess.Popen(command) as running:
        try:
            yield
        finally:
            running.terminate()


def reach(port: int) -> None:
    """Wait until somebody listens."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"nobody listens on port {port}")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def proxied(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start nginx in front of the server, with the recipe's own words but for the ports."""
    port = free_port()
    usual = next(each for each in serve.params if each.name == "port").default
    text, count = re.subn(
        rf"127\.0\.0\.1:{usual}\b", served.url.removeprefix("http://"), RECIPE.read_text()
    )
    assert count == 1
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("listen [::]:80;", "")
    with nginx(tmp_path_factory.mktemp("nginx"), AROUND + HTTP, text):
        reach(port)
        yield f"http://127.0.0.1:{port}/tts"


@pytest.fixture(scope="module")
def wyoming(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start nginx in front of Wyoming, likewise, with this machine among those who may speak."""
    port = free_port()
    text = WYOMING.read_text()
    for old, new in (
        ("proxy_pass 127.0.0.1:10201;", f"proxy_pass {served.wyoming[0].removeprefix('tcp://')};"),
        ("listen 10200;", f"listen 127.0.0.1:{port}; allow 127.0.0.1;"),
        ("listen [::]:10200;", f"listen 127.0.0.2:{port};"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    module = f"load_module {MODULE};" if MODULE.exists() else ""
    with nginx(tmp_path_factory.mktemp("wyoming"), module + AROUND + STREAM, text):
        reach(port)
        yield f"tcp://127.0.0.1:{port}"


def asked(url: str, **more: Any) -> Any:
    body = {"input": TEXT, "voice": "heart", "seed": 7, "response_format": "pcm", **more}
    return httpx2.stream("POST", f"{url}/v1/audio/speech", json=body, timeout=60)


def test_sound_comes_as_it_is_made(proxied: str, served: Served) -> None:
    with asked(proxied) as answer:
        parts = answer.iter_bytes()
        heard = [next(parts)]
        assert not served.idle
        heard += parts
    assert b"".join(heard) == spoken(TEXT, 7)


def test_events_come_as_they_are_made(proxied: str, served: Served) -> None:
    with asked(proxied, stream_format="sse") as answer:
        lines = (each for each in answer.iter_lines() if each.startswith("data: "))
        told = [json.loads(next(lines)[6:])]
        assert not served.idle
        told += [json.loads(each[6:]) for each in lines]
    assert told.pop()["type"] == "speech.audio.done"
    assert b"".join(base64.b64decode(each["audio"]) for each in told) == spoken(TEXT, 7)


def test_a_speech_that_is_cut_is_no_clean_end(
    proxied: str, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asked(proxied) as answer, monkeypatch.context() as broken:
        parts = answer.iter_bytes()
        next(parts)
        broken.setattr(served.service.synthesizer._scheduler._slots, "step", None)
        with pytest.raises(httpx2.RemoteProtocolError):
            list(parts)
    served.settle()


def test_who_leaves_is_gone_at_once(proxied: str, served: Served) -> None:
    with asked(proxied, input=TEXT * 80) as answer:
        parts = answer.iter_bytes()
        next(parts)
        assert not served.idle
    served.settle(2.0)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_websockets_pass(proxied: str, served: Served, name: str) -> None:
    path, _, long = PROTOCOLS[name]
    with conversation(proxied.replace("http", "ws") + path) as open_socket:
        open_socket.say(long)
        until_sound(open_socket)
        assert not served.idle
    served.settle(2.0)


def test_a_recording_is_not_too_large(proxied: str) -> None:
    body = {"input": "Yes.", "max_new_tokens": 2, "unknown": "x" * (15 << 20)}
    assert httpx2.post(f"{proxied}/v1/audio/speech", json=body, timeout=60).status_code == 200


def test_wyoming_passes_as_it_is_made(
    wyoming: str, served: Served, sessions: list[Session]
) -> None:
    async def speak() -> bytes:
        async with connected(wyoming) as client:
            await say(client, Synthesize(TEXT))
            begun = await heard(client, AudioChunk)
            assert not served.idle
            return sound_of(begun + await heard(client, AudioStop))

    sound = asyncio.run(speak())
    assert sound == spoken(TEXT, sessions[0].seed)


def test_who_leaves_wyoming_is_gone_at_once(wyoming: str, served: Served) -> None:
    async def leave() -> None:
        async with connected(wyoming) as client:
            await say(client, Synthesize(TEXT * 80))
            await heard(client, AudioChunk)
            assert not served.idle

    asyncio.run(leave())
    served.settle(2.0)


def test_who_is_not_named_does_not_reach_wyoming(wyoming: str) -> None:
    address = ("127.0.0.2", int(wyoming.rsplit(":", 1)[1]))
    other = socket.create_connection(address, source_address=("127.0.0.2", 0), timeout=30)
    with other, suppress(ConnectionResetError):
        assert other.recv(1) == b""


@pytest.mark.skipif(PROGRAM is None, reason="there is no chromium on PATH")
def test_the_page_speaks_below_a_path(proxied: str, tmp_path: Path) -> None:
    async def use(page: Page) -> None:
        await page.until("$('voice').options.length")
        await page.run("$('seed').value = '7'; $('speak').click()")
        await page.until("measured.done")
        assert await page.run("measured.error") is None
        assert await page.run("measured.played") > 0
        curl = await page.run("$('curl').textContent")
        assert curl.startswith(f'curl "{proxied}/v1/audio/speech" -o')
        assert all(url.startswith((f"{proxied}/", "blob:", "data:")) for url in page.asked)

    async def visit(browser: str) -> None:
        async with opened(browser, f"{proxied}/") as page:
            await use(page)

    with chromium(tmp_path) as browser:
        asyncio.run(visit(browser))
