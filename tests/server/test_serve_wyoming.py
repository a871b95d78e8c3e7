"""`qwen3-tts-edge serve` with Wyoming: what it refuses, and how it stops."""

import asyncio
import os
import re
import signal
import subprocess
import uuid
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from click.testing import CliRunner
from wyoming.audio import AudioChunk, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart

from at_a_shell import PROGRAM
from qwen3_tts_edge.cli import commands
from server.wyoming_clients import connected, heard, say

LONG = "There is more to say about the weather of today than anybody wants to hear. " * 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--wyoming", "tcp://0.0.0.0:0"], "Wyoming knows no keys"),
        (["--wyoming", "tcp://0.0.0.0:0", "--api-key", "k"], "give --insecure if all of"),
        (["--wyoming", "10200"], "give tcp://HOST:PORT"),
        (["--wyoming", "unix:///nowhere/there/socket"], "cannot listen on"),
        (["--zeroconf"], "--zeroconf announces a TCP address of --wyoming, and there is none"),
        (["--wyoming", "tcp://127.0.0.1:0", "--zeroconf=a.b"], "cannot be announced"),
    ],
)
def test_what_cannot_be_is_refused_before_a_bundle_is_opened(
    arguments: list[str], says: str
) -> None:
    done = CliRunner().invoke(commands, ["serve", "no-such-bundle", "--port", "0", *arguments])
    assert done.exit_code
    assert says in str(done.exception) + done.output


def test_it_lets_who_speaks_finish_and_takes_its_socket_along(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    told = {
        "QWEN3_TTS_EDGE_WYOMING": f"unix://{path} tcp://127.0.0.1:0",
        "QWEN3_TTS_EDGE_ZEROCONF": f"speech-{uuid.uuid4().hex}",
        "QWEN3_TTS_EDGE_API_KEY": "a-key",
    }
    with subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0"], env={**os.environ, **told}, stderr=subprocess.PIPE
    ) as server:
        assert server.stderr is not None
        addresses = server.stderr.readline().decode()
        http, tcp = re.findall(r"(?:http|tcp)://127.0.0.1:\d+", addresses)
        assert f"unix://{path}" in addresses
        while b"is ready" not in server.stderr.readline():
            assert server.poll() is None

        async def speak_through_the_end() -> list[Event]:
            async with connected(f"unix://{path}") as one, connected(tcp) as other:
                await say(one, Synthesize(LONG))
                await say(other, Synthesize(LONG))
                begun = await heard(one, AudioChunk) + await heard(other, AudioChunk)
                server.send_signal(signal.SIGTERM)
                both = await asyncio.gather(heard(one, AudioStop), heard(other, AudioStop))
                return [*begun, both[0][-1], both[1][-1]]

        with pytest.raises(HTTPError, match="401"):
            urlopen(f"{http}/v1/audio/speech", b"{}")
        last = asyncio.run(speak_through_the_end())[-2:]
        assert [event.type for event in last] == ["audio-stop"] * 2
        assert server.wait(30) in (143, -signal.SIGTERM)
    assert not path.exists()


def test_it_waits_for_no_more_of_a_text_that_nobody_ends(tmp_path: Path) -> None:
    """What came of it is spoken, and then said to be not all."""
    uri = f"unix://{tmp_path / 'socket'}"
    options = ["--wyoming", uri, "--drain-seconds", "100"]
    with subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0", *options], stderr=subprocess.PIPE
    ) as server:
        assert server.stderr is not None
        while b"is ready" not in server.stderr.readline():
            assert server.poll() is None

        async def begin() -> list[Event]:
            async with connected(uri) as client:
                await say(client, SynthesizeStart(), SynthesizeChunk(f"{LONG}And"))
                begun = await heard(client, AudioChunk)
                server.send_signal(signal.SIGTERM)
                return [*begun, *await heard(client, Error)]

        try:
            *_, stopped, error = asyncio.run(begin())
        finally:
            server.send_signal(signal.SIGTERM)
        assert (stopped.type, error.data["code"]) == ("audio-stop", "overloaded")
        assert server.wait(30) in (143, -signal.SIGTERM)
