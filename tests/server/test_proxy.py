"""Behind nginx, by its recipe: sound, events, websockets and the page come through."""

import asyncio
import base64
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from qwen3_tts_edge.cli.serve import serve
from server.chromium import PROGRAM, Page, chromium, opened
from server.reference import spoken
from server.serving import Served
from server.sockets import conversation
from server.test_conversation import PROTOCOLS, until_sound
from server.test_recipes import RECIPES

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
pytestmark = pytest.mark.skipif(NGINX is None, reason="there is no nginx")

RECIPE = RECIPES / "nginx" / "qwen3-tts-edge.conf"
TEXT = "The train to the coast leaves at seven, and the last one back is before midnight. " * 2
AROUND = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
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


@pytest.fixture(scope="module")
def proxied(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start nginx in front of the server, with the recipe's own words but for the ports."""
    folder = tmp_path_factory.mktemp("nginx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    usual = next(each for each in serve.params if each.name == "port").default
    text, count = re.subn(
        rf"127\.0\.0\.1:{usual}\b", served.url.removeprefix("http://"), RECIPE.read_text()
    )
    assert count == 1
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("listen [::]:80;", "")
    (folder / "recipe.conf").write_text(text)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    command = [str(NGINX), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with subprocess.Popen(command) as running:
        try:
            url = f"http://127.0.0.1:{port}/tts"
            end = time.monotonic() + 30
            while running.poll() is None and time.monotonic() < end:
                try:
                    assert httpx2.get(f"{url}/ready").status_code == 200
                    break
                except httpx2.ConnectError:
                    time.sleep(0.05)
            yield url
        finally:
            running.terminate()


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
