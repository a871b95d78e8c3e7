"""The program ends well, however it is started and stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from at_a_shell import PROGRAM
from qwen3_tts_edge.cli import commands

LONG = "This is a sentence of no great length. " * 40


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs a terminal that can hang up")
def test_a_terminal_that_is_closed_leaves_nothing(tmp_path: Path) -> None:
    # A parent such as nohup may have told its children to ignore it, and they would.
    heeding = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); " + PROGRAM[-1]
    command = [*PROGRAM[:-1], heeding, "speak", LONG, "-o", "a.wav"]
    process = subprocess.Popen(command, cwd=tmp_path)
    while not list(tmp_path.glob("*.part")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 128 + signal.SIGHUP
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals that a process can send itself")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_that_comes_where_python_ignores_errors_ends_the_program(name: str) -> None:
    code = f"""
import signal, time, weakref
from qwen3_tts_edge.endings import Endings

class Module: ...

signal.signal(signal.{name}, signal.SIG_DFL)  # a parent such as nohup may have said otherwise
Endings().heed()
module = Module()
gone = weakref.ref(module, lambda _: signal.raise_signal(signal.{name}))
del module
time.sleep(20)
"""
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False)
    number = getattr(signal, name)
    assert done.returncode == (-number if name == "SIGINT" else 128 + number)
    assert b"ignored" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals that a process can send itself")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_while_a_library_is_imported_is_no_broken_library(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "onnxruntime.py").write_text(f"""
import signal

try:
    signal.raise_signal(signal.{name})
except BaseException as error:
    raise ImportError("initialization failed") from error
""")
    heeding = f"import signal, sys; signal.signal(signal.{name}, signal.SIG_DFL)"
    if name == "SIGINT":
        heeding = "import sys"
    code = f"{heeding}; sys.path.insert(0, {str(tmp_path)!r}); {PROGRAM[-1]}"
    command = [*PROGRAM[:-1], code, "speak", "Hello.", "--backend", "ort-cpu"]
    done = subprocess.run(command, cwd=tmp_path, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.strip()) == (128 + getattr(signal, name), b"")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes streams")
@pytest.mark.parametrize("closed", ["2>&-", "<&-", ">&- 2>&- <&-"])
def test_without_standard_streams(tmp_path: Path, closed: str) -> None:
    command = f'exec "$@" {closed}'
    arguments = ["sh", "-c", command, "sh", *PROGRAM, "speak", "Hello.", "-o", "a.wav"]
    assert subprocess.run(arguments, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "a.wav").read_bytes().startswith(b"RIFF")


def test_sound_has_nowhere_to_go_where_stdout_is_closed() -> None:
    arguments = ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "speak", "Hello.", "-o", "-"]
    done = subprocess.run(arguments, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "-o - has nowhere to go, for stdout is closed; give a file" in done.stderr


@pytest.mark.parametrize(("command", "name"), [("speak", "--model"), ("info", "BUNDLE")])
def test_a_bundle_that_the_environment_names_is_said_to_be_from_there(
    monkeypatch: pytest.MonkeyPatch, command: str, name: str
) -> None:
    monkeypatch.setenv("QWEN3_TTS_EDGE_MODEL", "nowhere/at/all")
    words = ["Hello."] if command == "speak" else []
    done = CliRunner().invoke(commands, [command, *words])
    assert (done.exit_code, done.stderr) == (
        2,
        "error: QWEN3_TTS_EDGE_MODEL is 'nowhere/at/all', which is no folder; set it to that of a "
        f"bundle, or unset it, or give {name}\n",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs a folder that may go while it is used")
def test_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = ["sh", "-c", 'rmdir ../gone && exec "$@"', "sh", *PROGRAM, "speak", "Hello."]
    done = subprocess.run(command, cwd=gone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "error: the folder that this runs in is not there any more; change to another\n",
    )


@pytest.mark.parametrize("coding", ["cp1252", "latin-1"])
def test_a_name_that_the_terminal_has_no_letters_for(tmp_path: Path, coding: str) -> None:
    (tmp_path / "小明.safetensors").touch()
    done = subprocess.run(
        [*PROGRAM, "voice", "list"],
        env={**os.environ, "QWEN3_TTS_EDGE_VOICES": str(tmp_path), "PYTHONIOENCODING": coding},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.decode(coding).startswith("\\u5c0f\\u660e")


def test_a_command_is_imported_when_it_is_asked_for() -> None:
    code = "import sys, qwen3_tts_edge.cli; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("package", ["qwen3_tts_edge", "qwen3_tts_export"])
def test_a_package_is_its_command(package: str) -> None:
    pytest.importorskip(package)
    module = ["-m", package]
    done = subprocess.run(
        [sys.executable, *module, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"Usage: python -m {package} ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize(
    "arguments",
    [
        "info",
        "info --json",
        "--help",
        "speak --help",
        "--version",
        "speak --list-speakers",
        "speak Hello. --max-seconds 0.2 -o -",
        "speak Hello. --max-seconds 0.2 -o - --format flac",
        "voice list --json",
    ],
)
def test_what_is_printed_onto_a_full_disk(arguments: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, *arguments.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "error: standard output: No space left on device; make room on its disk\n"
    )
