"""Clients as they are: LiveKit, pipecat, vendors' own, wyoming_openai, Home Assistant, Open WebUI.

They want packages, and one a Python, of versions that are not ours, so they are installed apart,
which takes minutes.
"""

import asyncio
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from wyoming.audio import AudioStop
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from qwen3_tts_edge.speech import request
from server.reference import as_it_came, spoken
from server.serving import Served
from server.sockets import encoded
from server.wyoming_clients import connected, say, sound_of
from server.wyoming_clients import heard as events_of

pytestmark = pytest.mark.slow

TEXT, SENTENCES = "Good morning. How are you?", ("Good morning.", "How are you?")
SCRIPTS = Path(__file__).parent / "foreign"
ENVIRONMENTS = Path(__file__).parents[2] / "build"
PACKAGES = [
    "cartesia[websockets]==4.2.0",
    "deepgram-sdk==7.17.0",
    "elevenlabs==2.78.0",
    "livekit-agents==1.8.9",
    "livekit-plugins-cartesia==1.8.9",
    "livekit-plugins-deepgram==1.8.9",
    "livekit-plugins-elevenlabs==1.8.9",
    "livekit-plugins-openai==1.8.9",
    "pipecat-ai[cartesia,deepgram,elevenlabs,openai]==1.14.0",
]
PROXY_PYTHONS = ("python3.12", "python3.13", "python3.14")
PROXY_PACKAGES = ["wyoming_openai==0.8.0"]
HOUSE_PYTHONS = ("python3.13",)
HOUSE_PACKAGES = [
    "homeassistant==2025.7.4",
    "pycares<5",  # of its own dependencies, one that says no more than from which version on
    # what it installs by itself when an integration begins
    "ha-ffmpeg==3.2.2",
    "hassil==2.2.3",
    "home-assistant-intents==2025.6.23",
    "mutagen==1.47.0",
    "pymicro-vad==1.0.1",
    "pyspeex-noise==1.0.2",
    "wyoming==1.7.1",
]

WEB_PYTHONS = ("python3.11", "python3.12")
WEB_PACKAGES = ["open-webui==0.6.15", "torch==2.13.0"]


def environment(name: str, python: str, packages: list[str]) -> Path:
    """Give the interpreter of an environment with these packages; skip where it cannot be made."""
    folder = ENVIRONMENTS / name
    program, stamp = folder / "bin" / "python", folder / "packages"
    if stamp.is_file() and stamp.read_text() == "\n".join(packages):
        return program
    made = subprocess.run([python, "-m", "venv", str(folder)], capture_output=True, text=True)
    if not made.returncode:
        pip = [str(program), "-m", "pip", "install", "--quiet", *packages]
        made = subprocess.run(pip, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"the clients cannot be installed: {made.stderr.strip()[-500:]}")
    stamp.write_text("\n".join(packages))
    return program


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("clients-venv", sys.executable, PACKAGES)


def one_of(pythons: tuple[str, ...]) -> str:
    """Give the first of these interpreters that there is; skip where there is none."""
    for name in pythons:
        if shutil.which(name) and not subprocess.run([name, "-c", ""], check=False).returncode:
            return name
    return pytest.skip(f"none of {pythons} is on PATH")


@pytest.fixture(scope="module")
def proxy_python() -> Path:
    return environment("proxy-venv", one_of(PROXY_PYTHONS), PROXY_PACKAGES)


@pytest.fixture(scope="module")
def house_python() -> Path:
    return environment("house-venv", one_of(HOUSE_PYTHONS), HOUSE_PACKAGES)


@pytest.fixture(scope="module")
def web_python() -> Path:
    return environment("web-venv", one_of(WEB_PYTHONS), WEB_PACKAGES)


@pytest.fixture(autouse=True)
def same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server draw 7 where its clients ask for no seed, and none of them does."""
    monkeypatch.setattr(request.secrets, "randbits", lambda _: 7)


def answers_of(python: Path, script: str, *arguments: str) -> dict[str, str]:
    """Run a script; give what it says of each of its cases."""
    done = subprocess.run(
        [str(python), str(SCRIPTS / script), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answers


def heard(python: Path, script: str, served: Served) -> dict[str, bytes | str]:
    """Run a script; give the sound, or an error's name, of each of its cases."""
    answers = answers_of(python, script, served.url)
    served.settle()
    return {
        case: answer[1:] if answer.startswith("!") else base64.b64decode(answer)
        for case, answer in answers.items()
    }


def test_livekit(python: Path, served: Served) -> None:
    answers = heard(python, "with_livekit.py", served)
    for case, answer in answers.items():
        if "nobody" in case:
            assert answer in ("APIError", "APIStatusError"), case
            continue
        assert isinstance(answer, bytes), (case, answer)
        language = "en" if case.startswith("cartesia") else None
        wanted = (spoken if "whole" in case else as_it_came)(TEXT, 7, language=language)
        if "mp3" in case:
            assert len(answer) > 0.95 * len(wanted) * (22_050 / 24_000 if "eleven" in case else 1)
        elif "whole" in case:  # what comes over HTTP it lengthens by 10 ms of silence
            assert answer == wanted + bytes(len(answer) - len(wanted)), case
        else:
            assert answer == wanted, case
    assert len(answers) == 29


def test_pipecat(python: Path, served: Served) -> None:
    answers = heard(python, "with_pipecat.py", served)
    wanted = {
        "cartesia": as_it_came(TEXT, 7, language="en"),
        "deepgram": as_it_came(TEXT, 7),
        "deepgram flux": as_it_came(TEXT, 7),
        "elevenlabs": as_it_came(TEXT, 7),
        "elevenlabs over HTTP": b"".join(spoken(each, 7) for each in SENTENCES),
        "openai": b"".join(spoken(each, 7) for each in SENTENCES),
    }
    assert answers == {
        f"{name}, {case}": data
        for name, data in wanted.items()
        for case in ("0", "1", "interrupted")
    }


def test_cartesia(python: Path, served: Served) -> None:
    answers = heard(python, "with_cartesia.py", served)
    assert answers.pop("whole, nobody") == "BadRequestError"
    assert (answers.pop("voices"), answers.pop("voice")) == ("heart low", "heart")
    error = json.loads(answers.pop("streamed, nobody"))
    assert (error["context_id"], error["status_code"], error["title"]) == ("a", 400, "Bad Request")
    assert error["request_id"].startswith("req_")
    assert "there is no voice 'nobody'" in error["message"]
    assert answers == {
        "whole": spoken(TEXT, 7, language="en"),
        "whole, by its name": spoken(TEXT, 7, language="en"),
        "events": spoken(TEXT, 7, language="en"),
        "streamed": as_it_came(TEXT, 7, language="en"),
    }


def test_deepgram(python: Path, served: Served) -> None:
    answers = heard(python, "with_deepgram.py", served)
    turn = "SpeechStarted Flushed SpeechMetadata"
    assert answers == {
        "whole": spoken(TEXT, 7),
        "whole, flux": spoken(TEXT, 7),
        "streamed": as_it_came(TEXT, 7),
        "told": "Metadata Flushed",
        "turns": as_it_came(TEXT, 7),
        "told of turns": f"ConfigureSuccess {turn} SessionMetadata",
    }


def test_elevenlabs(python: Path, served: Served) -> None:
    answers = heard(python, "with_elevenlabs.py", served)
    whole = spoken(TEXT, 7)
    assert answers == {
        "whole": whole,
        "as it is made": whole,
        "streamed": as_it_came(TEXT, 7),
        "timed": whole,
        "timed, whole": whole,
        "voices": "heart low",
        "models": served.service.name,
        "nobody": "400",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int, **told: str) -> Iterator[None]:
    """Run a program with this in its environment, from when it takes connections at a port."""
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": "", **told}) as program:
        try:
            for _ in range(3000):
                assert program.poll() is None, "it ended"
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.1)
            yield
        finally:
            program.terminate()


@contextmanager
def proxied(python: Path, served: Served, *arguments: str) -> Iterator[str]:
    """Run wyoming_openai in front of the server; give its address once it takes connections."""
    uri = f"tcp://127.0.0.1:{(port := free_port())}"
    openai = ["--tts-openai-url", f"{served.url}/v1", "--tts-openai-key", "any"]
    command = [str(python), "-m", "wyoming_openai", "--uri", uri, *openai, *arguments]
    with running(command, port):
        yield uri


def test_wyoming_openai(proxy_python: Path, served: Served) -> None:
    async def speak(uri: str) -> tuple[list[str], bytes, bytes]:
        async with connected(uri) as client:
            await say(client, Describe())
            [info] = await events_of(client, Info)
            voices = [v.name for each in Info.from_event(info).tts for v in each.voices]
            await say(client, Synthesize(TEXT, SynthesizeVoice("heart")))
            whole = await events_of(client, AudioStop)
            await say(client, SynthesizeStart(SynthesizeVoice("heart")))
            # The proxy drops a blank that ends a piece; tokens of language models begin with one.
            first, *words = TEXT.split()
            await say(client, SynthesizeChunk(first), *(SynthesizeChunk(f" {w}") for w in words))
            await say(client, SynthesizeStop())
            streamed: list[Event] = await events_of(client, SynthesizeStopped)
            return voices, sound_of(whole), sound_of(streamed)

    named = ("--tts-streaming-models", "tts-1", "--tts-voices", "heart", "low")
    with proxied(proxy_python, served, *named) as uri:
        voices, whole, streamed = asyncio.run(speak(uri))
    assert voices == ["heart", "low"]
    assert whole == spoken(TEXT, 7)
    assert streamed == b"".join(spoken(each, 7) for each in SENTENCES)


def test_wyoming_openai_finds_out_what_it_speaks_to(proxy_python: Path, served: Served) -> None:
    """Without a word about voices it takes the server for OpenAI's, whose names ours answer to."""

    async def speak(uri: str) -> tuple[list[str], bytes]:
        async with connected(uri) as client:
            await say(client, Describe())
            [info] = await events_of(client, Info)
            voices = [v.name for each in Info.from_event(info).tts for v in each.voices]
            await say(client, Synthesize(TEXT, SynthesizeVoice("onyx")))
            return voices, sound_of(await events_of(client, AudioStop))

    with proxied(proxy_python, served, "--tts-models", "tts-1") as uri:
        voices, whole = asyncio.run(speak(uri))
    assert "alloy" in voices
    assert whole == spoken(TEXT, 7, voice="low")


def test_home_assistant(house_python: Path, served: Served, tmp_path: Path) -> None:
    """Its assistants speak with it; a language model's answer while it is being written."""
    uri = served.wyoming[0]
    answers = answers_of(house_python, "with_home_assistant.py", uri, str(tmp_path))
    served.settle()
    assert answers.pop("added") == "qwen3-tts-edge"
    assert answers.pop("engine") == "tts.qwen3_tts_edge"
    assert answers.pop("voices") == "heart low"
    assert {case: base64.b64decode(sound) for case, sound in answers.items()} == {
        "whole": spoken(TEXT, 7),
        "whole, another": spoken(TEXT, 7, voice="low"),
        "streamed": as_it_came(TEXT, 7),
    }


def test_open_webui(web_python: Path, served: Served, tmp_path: Path) -> None:
    """Set up by its environment, it finds voices and model, and reads an answer aloud."""
    told = {
        "AUDIO_TTS_ENGINE": "openai",
        "AUDIO_TTS_OPENAI_API_BASE_URL": f"{served.url}/v1",
        "AUDIO_TTS_OPENAI_API_KEY": "any",
        "AUDIO_TTS_MODEL": "tts-1",
        "AUDIO_TTS_VOICE": "heart",
        "DATA_DIR": str(tmp_path),
        "WEBUI_AUTH": "False",
        "WEBUI_SECRET_KEY": "any",
        "OFFLINE_MODE": "true",
        "ENABLE_OLLAMA_API": "False",
        "RAG_EMBEDDING_ENGINE": "openai",  # else it fetches a model
    }
    port = free_port()
    program = str(web_python.parent / "open-webui")
    command = [program, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (
        running(command, port, **told),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=120) as client,
    ):
        answer = client.post("/auths/signin", json={"email": "", "password": ""})
        client.headers["authorization"] = f"Bearer {answer.json()['token']}"
        voices, models = (
            client.get(f"/audio/{each}").json()[each] for each in ("voices", "models")
        )
        read = client.post("/audio/speech", json={"input": TEXT, "voice": "heart"})
        refused = client.post("/audio/speech", json={"input": TEXT, "voice": "nobody"})
    assert {each["id"] for each in voices} == {"heart", "low"}
    assert [each["id"] for each in models] == [served.service.name]
    assert read.content == encoded(TEXT, 7, "mp3", 24_000)
    assert refused.status_code == 400
