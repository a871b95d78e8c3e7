"""LiveKit's plugins and pipecat's services, unmodified, in an environment of their own.

Both want packages of versions that are not ours, so they are installed apart, which takes minutes.
"""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qwen3_tts_edge.speech import request
from server.reference import spoken
from server.serving import Served

pytestmark = pytest.mark.slow

TEXT, SENTENCES = "Good morning. How are you?", ("Good morning.", "How are you?")
SCRIPTS = Path(__file__).parent / "foreign"
ENVIRONMENT = Path(__file__).parents[2] / "build" / "clients-venv"
PACKAGES = [
    "livekit-agents==1.8.9",
    "livekit-plugins-cartesia==1.8.9",
    "livekit-plugins-deepgram==1.8.9",
    "livekit-plugins-elevenlabs==1.8.9",
    "livekit-plugins-openai==1.8.9",
    "pipecat-ai[cartesia,deepgram,elevenlabs,openai]==1.14.0",
]


@pytest.fixture(scope="module")
def python() -> Path:
    """Give the interpreter of the other environment; skip where it cannot be made."""
    program, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "packages"
    if stamp.is_file() and stamp.read_text() == "\n".join(PACKAGES):
        return program
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(ENVIRONMENT)], capture_output=True, text=True
    )
    if not made.returncode:
        pip = [str(program), "-m", "pip", "install", "--quiet", *PACKAGES]
        made = subprocess.run(pip, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"the clients cannot be installed: {made.stderr.strip()[-500:]}")
    stamp.write_text("\n".join(PACKAGES))
    return program


@pytest.fixture(autouse=True)
def same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server draw 7 where its clients ask for no seed, and none of them does."""
    monkeypatch.setattr(request.secrets, "randbits", lambda _: 7)


def heard(python: Path, script: str, served: Served) -> dict[str, bytes | str]:
    """Run a script; give the sound, or an error's name, of each of its cases."""
    done = subprocess.run(
        [str(python), str(SCRIPTS / script), served.url],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(done.stdout.splitlines()[-1])
    served.settle()
    return {
        case: answer[1:] if answer.startswith("!") else base64.b64decode(answer)
        for case, answer in answers.items()
    }


def test_livekit(python: Path, served: Served) -> None:
    answers = heard(python, "with_livekit.py", served)
    english, any_language = spoken(TEXT, 7, language="en"), spoken(TEXT, 7)
    for case, answer in answers.items():
        if "nobody" in case:
            assert answer in ("APIError", "APIStatusError"), case
            continue
        assert isinstance(answer, bytes), (case, answer)
        wanted = english if case.startswith("cartesia") else any_language
        if "mp3" in case:
            assert len(answer) > 0.95 * len(wanted) * (22_050 / 24_000 if "eleven" in case else 1)
        elif "whole" in case:  # what comes over HTTP it lengthens by 10 ms of silence
            assert answer == wanted + bytes(len(answer) - len(wanted)), case
        else:
            assert answer == wanted, case
    assert len(answers) == 23


def test_pipecat(python: Path, served: Served) -> None:
    answers = heard(python, "with_pipecat.py", served)
    wanted = {
        "cartesia": spoken(TEXT, 7, language="en"),
        "deepgram": spoken(TEXT, 7),
        "elevenlabs": spoken(TEXT, 7),
        "openai": b"".join(spoken(each, 7) for each in SENTENCES),
    }
    assert answers == {
        f"{name}, {case}": data
        for name, data in wanted.items()
        for case in ("0", "1", "interrupted")
    }
