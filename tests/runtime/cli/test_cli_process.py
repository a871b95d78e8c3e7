"""The program that people run: pipes, signals, a terminal."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from at_a_shell import LONG, PROGRAM, TEXT, left, numbers, run

pytestmark = pytest.mark.usefixtures("here")


def test_stdout_is_only_sound() -> None:
    args = [*PROGRAM, "speak", "--seed", "3", "--text-layout", "streamed", "-o"]
    streamed = subprocess.run([*args, "-"], input=TEXT.encode(), capture_output=True, check=True)
    subprocess.run([*args, "a.pcm"], input=TEXT.encode(), capture_output=True, check=True)
    whole = numbers(Path("a.pcm").read_bytes())  # decoded in other chunks: the last bit may differ
    assert np.abs(numbers(streamed.stdout) - whole).max() <= 1
    assert streamed.stderr.startswith(b"stdout: ")


def test_stdin_is_spoken_as_it_arrives() -> None:
    """A language model is slow: what it has said is heard before it is done."""
    args = [*PROGRAM, "speak", "-", "-o", "-", "--seed", "3"]
    pipe = subprocess.PIPE
    with subprocess.Popen(args, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(f"{TEXT} Grü".encode()[:-1])  # in the middle of a letter
        process.stdin.write(f"{TEXT} Grü".encode()[-1:] + b" Gott to all of you there. And s")
        process.stdin.flush()
        first = process.stdout.read(2 * 1920)
        assert len(first) == 2 * 1920
        process.stdin.write(b"o on.")
        process.stdin.close()
        rest = process.stdout.read()
        assert process.wait(60) == 0, process.stderr.read()
    said = f"{TEXT} Grü Gott to all of you there. And so on."
    run("speak", said, "-o", "a.pcm", "--seed", "3", "--text-layout", "streamed")
    whole = numbers(Path("a.pcm").read_bytes())
    assert np.abs(numbers(first + rest) - whole).max() <= 1


@pytest.mark.skipif(os.name != "posix", reason="needs arguments of any bytes")
def test_a_text_is_utf8_whatever_the_locale_says() -> None:
    args = [*map(os.fsencode, PROGRAM), b"speak", b"-o", b"a.wav", b"--max-seconds", b"0.4"]
    bare = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([*args, "Grüße.".encode()], env=bare, check=True)
    asked = [*args, b"Hello.", b"--speaker", "Jürgen".encode()]
    done = subprocess.run(asked, env=bare, capture_output=True, check=False)
    assert done.stderr.startswith("error: speaker 'Jürgen' is unknown".encode())
    for text, name in (
        (b"", b"TEXT"),
        (b"--instruct=", b"--instruct"),
        (b"--ref-text=", b"--ref-"),
    ):
        done = subprocess.run([*args, text + b"Gr\xfc\xdfe."], capture_output=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(b"error: " + name)
        assert done.stderr.endswith(b" is not UTF-8 text: byte 2 is 0xfc; convert it\n")


def test_without_stdout_and_stderr() -> None:
    """As pythonw and some services start programs: `sys.stderr` is None."""
    code = (
        "import sys; sys.stdout = sys.stderr = None\n"
        "from qwen3_tts_edge.cli import commands\n"
        f"commands(['speak', {TEXT!r}, '-o', 'a.wav', '--max-seconds', '0.4'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert left() == ["a.wav"]


def test_sound_comes_while_it_is_made() -> None:
    args = [*PROGRAM, "speak", LONG, "-o", "-", "--seed", "3"]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert len(process.stdout.read(2 * 1920)) == 2 * 1920
        assert process.poll() is None
        process.kill()


def test_a_reader_that_has_enough_ends_it_quietly() -> None:
    args = [*PROGRAM, "speak", LONG, "-o", "-", "--seed", "3"]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(100)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_being_stopped_leaves_nothing(sent: signal.Signals, code: int) -> None:
    args = [*PROGRAM, "speak", LONG, "-o", "a.wav", "--chunk-frames", "1"]
    with subprocess.Popen(args, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not any(map(os.path.getsize, left())) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sorted(left()) == ["a.wav.part", "a.wav.part.lock"]
        process.send_signal(sent)
        assert process.wait(60) == code
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
    assert left() == []


def test_on_a_terminal_it_shows_progress_and_takes_no_sound() -> None:
    mine, theirs = pty.openpty()
    args = [*PROGRAM, "speak", TEXT, "--seed", "3", "--max-seconds", "0.4"]
    subprocess.run([*args, "-o", "a.wav"], stderr=theirs, check=True)
    shown = os.read(mine, 4096).decode()
    assert "\r\x1b[K1 of 1 pieces, 0.4 s\r\x1b[Ka.wav: 0.40 s of speech" in shown
    subprocess.run([*args, "-o", "-"], stderr=theirs, stdout=subprocess.DEVNULL, check=True)
    shown = os.read(mine, 4096).decode()
    # The first chunks are a frame each, 80 ms: 0.16 and 0.24 s are both shown as 0.2.
    lines = ["0.1 s", "0.2 s", "0.2 s", "0.3 s", "0.4 s", "stdout: 0.40 s of speech"]
    assert "".join(f"\r\x1b[K{line}" for line in lines) in shown
    refused = subprocess.run([*args, "-o", "-"], stdout=theirs, stderr=subprocess.PIPE, check=False)
    assert refused.returncode == 2
    assert b"error: -o - would print sound on the terminal" in refused.stderr
    silent = subprocess.run(
        [*PROGRAM, "speak"], stdin=theirs, stderr=subprocess.PIPE, check=False, timeout=60
    )
    assert silent.returncode == 2
    assert b"error: nothing to say; give a TEXT" in silent.stderr
