"""After the first speech on a machine a person is told once what to try next."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from at_a_shell import PROGRAM
from qwen3_tts_edge.cache import VARIABLE

SPEAK = [*PROGRAM, "speak", "Hello.", "--seed", "3", "--max-seconds", "0.2"]


@pytest.fixture(autouse=True)
def cache(voice_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QWEN3_TTS_EDGE_MODEL", str(voice_bundle))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def on_a_terminal(*more: str) -> str:
    mine, theirs = pty.openpty()
    subprocess.run([*SPEAK, *more], stderr=theirs, stdout=subprocess.DEVNULL, check=True)
    os.close(theirs)
    said = b""
    try:
        while more_said := os.read(mine, 4096):
            said += more_said
    except OSError:  # nobody has the other end
        pass
    os.close(mine)
    return said.decode()


def test_once_at_a_terminal(cache: Path) -> None:
    subprocess.run([*SPEAK, "-o", "a.wav"], stderr=subprocess.PIPE, check=True)
    assert not (cache / "has-spoken").exists()  # nobody was there
    assert on_a_terminal("-o", "a.wav", "--quiet").strip() == (
        "warning: the speech was cut after 0.24 s, before its end, as asked; raise --max-seconds"
    )
    assert not (cache / "has-spoken").exists()
    first, again = on_a_terminal("-o", "-"), on_a_terminal("-o", "-")
    last = first.splitlines()[-1]
    assert last.startswith("next: `speak --list-speakers` names other voices; `qwen3-tts-export")
    assert "serve" in last
    assert "next:" not in again
    assert "stdout: 0.24 s of speech" in again


def test_where_nothing_can_be_kept_nothing_is_said(cache: Path) -> None:
    cache.write_text("not a folder")
    assert "next:" not in on_a_terminal("-o", "a.wav")
