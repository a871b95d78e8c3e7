"""`qwen3-tts-edge serve` as a process of its own: what it refuses, and how it stops."""

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed

from at_a_shell import PROGRAM
from qwen3_tts_edge.cli import commands
from server import test_deepgram, test_elevenlabs
from server.reference import as_it_came, spoken
from server.sockets import Socket, conversation, sound
from server.test_conversation import PROTOCOLS, has_sound, is_error, until_sound

TEXT = "The train to the coast leaves at seven, and the last one back is before midnight. " * 4


@contextmanager
def process(bundle: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start it on a free port; give it and its address."""
    # A parent such as nohup may have told its children to ignore SIGHUP, and they would.
    heeding = "import signal; hasattr(signal, 'SIGHUP') and signal.signal(signal.SIGHUP, "
    heeding += f"signal.SIG_DFL); {PROGRAM[-1]}"
    command = [*PROGRAM[:-1], heeding, "serve", str(bundle), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            line = running.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, line + running.stderr.read()
            end = time.monotonic() + 60
            while httpx2.get(f"{found[0]}/ready").status_code != 200:
                assert time.monotonic() < end
                time.sleep(0.05)
            yield running, found[0]
        finally:
            running.kill()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "example.org", ""])
def test_nobody_beyond_this_machine_without_a_key(host: str) -> None:
    done = CliRunner().invoke(commands, ["serve", "--host", host])
    assert done.exit_code == 2
    assert f"{host.strip('[]')} can be reached from other machines" in done.stderr
    assert "give --api-key, or --insecure" in done.stderr


@pytest.mark.parametrize("key", ["", " ", "x ", "schlüssel"])
def test_a_key_that_nobody_could_show_or_everybody_would(key: str) -> None:
    done = CliRunner().invoke(commands, ["serve", "--host", "0.0.0.0", "--api-key", key])
    assert done.exit_code == 2
    assert "a key is empty, or has a blank at an end or what is not ASCII" in done.stderr


@pytest.mark.parametrize("origin", ["https://example.org/", "example.org", "https://a.org/app", ""])
def test_an_origin_that_no_browser_sends(origin: str) -> None:
    done = CliRunner().invoke(commands, ["serve", "--cors-origin", origin])
    assert done.exit_code == 2
    assert f"{origin!r} is no origin, such as https://example.org" in done.stderr


def test_who_speaks_may_finish_when_it_is_told_to_stop(voice_bundle: Path) -> None:
    with process(voice_bundle, "--slots", "2") as (running, address):
        body = {"input": TEXT, "voice": "heart", "seed": 7, "response_format": "pcm"}
        with httpx2.stream("POST", f"{address}/v1/audio/speech", json=body) as answer:
            parts = answer.iter_bytes()
            heard = [next(parts)]
            running.send_signal(signal.SIGTERM)
            end = time.monotonic() + 10
            while (ready := httpx2.get(f"{address}/ready")).status_code == 200:
                assert time.monotonic() < end
            assert ready.json() == {"status": "starting or stopping"}
            late = httpx2.post(f"{address}/v1/audio/speech", json={"input": "Yes."})
            assert (late.status_code, late.json()["error"]["code"]) == (503, "overloaded")
            assert int(late.headers["retry-after"]) >= 1
            heard += parts
        assert b"".join(heard) == spoken(TEXT, 7)
        assert running.wait(20) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs a terminal that can hang up")
def test_a_terminal_that_is_closed_cuts_nobody_off(voice_bundle: Path) -> None:
    with process(voice_bundle) as (running, address):
        body = {"input": TEXT, "voice": "heart", "seed": 7, "response_format": "pcm"}
        with httpx2.stream("POST", f"{address}/v1/audio/speech", json=body) as answer:
            parts = answer.iter_bytes()
            heard = [next(parts)]
            running.send_signal(signal.SIGHUP)
            heard += parts
        assert b"".join(heard) == spoken(TEXT, 7)
        assert running.wait(20) == 128 + signal.SIGHUP
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()


def test_a_second_signal_waits_for_nobody(voice_bundle: Path) -> None:
    with process(voice_bundle) as (running, address):
        body = {"input": TEXT * 40, "response_format": "pcm"}
        with httpx2.stream("POST", f"{address}/v1/audio/speech", json=body) as answer:
            parts = answer.iter_bytes()
            next(parts)
            running.send_signal(signal.SIGTERM)
            while httpx2.get(f"{address}/ready").status_code == 200:
                time.sleep(0.05)
            running.send_signal(signal.SIGTERM)
            with pytest.raises(httpx2.RemoteProtocolError):
                list(parts)
        assert running.wait(20) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def test_a_whole_answer_may_be_heard_to_its_end_by_who_reads_slowly(voice_bundle: Path) -> None:
    with process(voice_bundle) as (running, address):
        host, port = address.removeprefix("http://").split(":")
        body = json.dumps({"input": TEXT, "stream": False, "response_format": "wav", "seed": 7})
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((host, int(port)))
            head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: {host}\r\n"
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            client.sendall(f"{head}{body}".encode())
            heard = client.recv(1024)  # all is spoken
            running.send_signal(signal.SIGTERM)
            time.sleep(3)
            assert running.poll() is None
            while piece := client.recv(1 << 16):
                heard += piece
        length = re.search(rb"content-length: (\d+)", heard)
        assert length
        assert len(heard.partition(b"\r\n\r\n")[2]) == int(length[1]) > 500_000
        assert running.wait(20) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def test_time_to_finish_is_limited_and_what_is_cut_is_no_clean_end(voice_bundle: Path) -> None:
    with process(voice_bundle, "--drain-seconds", "0.2") as (running, address):
        body = {"input": TEXT * 40, "response_format": "pcm"}
        with httpx2.stream("POST", f"{address}/v1/audio/speech", json=body) as answer:
            parts = answer.iter_bytes()
            next(parts)
            running.send_signal(signal.SIGTERM)
            time.sleep(1.0)
            with pytest.raises(httpx2.RemoteProtocolError):
                list(parts)
        assert running.wait(20) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def test_a_socket_says_its_end_to_who_reads_slowly(voice_bundle: Path) -> None:
    """Nobody speaks, and its answers fill all that the systems hold on the way."""
    with process(voice_bundle) as (running, address), socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", int(address.rsplit(":", 1)[1])))
        url = address.replace("http", "ws") + PROTOCOLS["deepgram"][0]
        with conversation(url, sock=raw, max_queue=1) as slow:
            slow.say(*[test_deepgram.FLUSH] * 7000)
            time.sleep(5)
            running.send_signal(signal.SIGTERM)
            time.sleep(2)
            _, *heard = test_elevenlabs.to_its_end(slow)
        assert [each["sequence_id"] for each in heard] == list(range(len(heard)))
        assert slow.connection.close_code == 1001
        assert running.wait(20) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


HALF = "This is a sentence of some length, and it ends here. And the next"
ENDLESS: dict[str, tuple[Any, str, int]] = {
    "cartesia": ({"context_id": "a", "transcript": HALF, "continue": True}, "data", 1001),
    "deepgram": (test_deepgram.speak(HALF), "", 1001),
    "deepgram, flux": (test_deepgram.speak(HALF), "", 1001),
    "elevenlabs": (test_elevenlabs.say(HALF, "a"), "audio", 1001),
    "elevenlabs, one text": (test_elevenlabs.of_sdk(HALF), "audio", 1008),
}
"""By their protocols: a text that nobody ends, where its sound is, and how its socket ends."""


def test_nobody_waits_for_more_of_a_text_when_it_is_told_to_stop(voice_bundle: Path) -> None:
    """What came is spoken, then said to be not all; who speaks meanwhile comes to the end."""
    with (
        process(voice_bundle, "--slots", "8", "--drain-seconds", "100") as (running, address),
        ExitStack() as opened,
    ):
        sockets: dict[str, Socket] = {}
        for name, (path, _, _) in PROTOCOLS.items():
            url = address.replace("http", "ws") + path
            sockets[name] = opened.enter_context(conversation(url))
        heard: dict[str, list[Any]] = {name: [] for name in sockets}
        for name, (text, _, _) in ENDLESS.items():
            sockets[name].say(text)
            while not (heard[name] and has_sound(heard[name][-1])):
                heard[name].append(sockets[name].hear())
        body = {"input": TEXT, "seed": 7, "response_format": "pcm"}
        post = httpx2.stream("POST", f"{address}/v1/audio/speech", json=body)
        parts = opened.enter_context(post).iter_bytes()
        whole = next(parts)
        running.send_signal(signal.SIGTERM)
        for name, socket in sockets.items():
            heard[name] += test_elevenlabs.to_its_end(socket)
        assert whole + b"".join(parts) == spoken(TEXT, 7)
        assert running.wait(20) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    assert sockets["realtime"].connection.close_code == 1001  # which only waited for its client
    for name, (_, field, code) in ENDLESS.items():
        *before, last = heard[name]
        data = [each for each in before if isinstance(each, bytes)]
        told = [each for each in before if not isinstance(each, bytes)]
        assert b"".join(data) + sound(told, field) == as_it_came(HALF, 7)
        assert is_error(last)
        assert "the server is stopping" in json.dumps(last)
        assert sockets[name].connection.close_code == code


def test_a_text_that_goes_on_is_spoken_until_time_is_up(voice_bundle: Path) -> None:
    """Slow as it comes, it is no text that has stopped: its client wants all of it."""
    path, _, _ = PROTOCOLS["elevenlabs"]
    with process(voice_bundle, "--drain-seconds", "6") as (running, address):
        with conversation(address.replace("http", "ws") + path) as socket:
            socket.say(test_elevenlabs.say(HALF, "a"))
            until_sound(socket)
            running.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            with suppress(ConnectionClosed):
                while True:
                    socket.say(test_elevenlabs.say(" word after word,", "a"))
                    time.sleep(0.5)
            assert time.monotonic() - begun > 5
            assert not any("isFinal" in each for each in test_elevenlabs.to_its_end(socket))
            assert socket.connection.close_code == 1012
        assert running.wait(20) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
