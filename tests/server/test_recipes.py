"""The recipes do what they say: the C program speaks, systemd takes the unit, what they name is."""

import os
import re
import shlex
import shutil
import subprocess
import wave
from io import BytesIO
from pathlib import Path

import click
import msgspec
import pytest

from qwen3_tts_edge.cli import commands
from qwen3_tts_edge.cli.serve import serve
from qwen3_tts_edge.server.speaking.session import Session
from qwen3_tts_edge.voices import library
from server.reference import spoken
from server.serving import Served

RECIPES = Path(__file__).parents[2] / "runtime" / "recipes"
SOURCE = RECIPES / "embedded" / "wyoming_speak.c"
TEXT = 'Say "Hi",\nor\\and: Zoë.'


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the C program with the line that it gives, and take warnings for errors."""
    found = re.search(r"^ \*     (cc .*)$", SOURCE.read_text(), re.M)
    assert found
    compiler, *options = found[1].split()
    if shutil.which(compiler) is None:
        pytest.skip("there is no C compiler (cc)")
    folder = tmp_path_factory.mktemp("embedded")
    shutil.copy(SOURCE, folder)
    subprocess.run([compiler, "-Werror", *options], cwd=folder, check=True)
    return folder / "wyoming_speak"


def run(program: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([program, *arguments], capture_output=True, timeout=60, check=False)


def path_of(served: Served) -> str:
    return served.wyoming[1].removeprefix("unix://")


def test_the_c_program_writes_what_the_synthesizer_speaks(
    program: Path, served: Served, sessions: list[Session], tmp_path: Path
) -> None:
    piped = run(program, path_of(served), TEXT)
    assert (piped.returncode, piped.stderr) == (0, b"")
    with wave.open(BytesIO(piped.stdout)) as sound:
        assert sound.getparams()[:3] == (1, 2, 24_000)
    assert piped.stdout[44:] == spoken(TEXT, sessions[0].seed)

    with (tmp_path / "said.wav").open("wb") as file:
        asked = [program, "-v", "low", path_of(served), TEXT]
        subprocess.run(asked, stdout=file, timeout=60, check=True)
    with wave.open(str(tmp_path / "said.wav")) as sound:
        said = sound.readframes(sound.getnframes())
    assert said == spoken(TEXT, sessions[1].seed, voice="low")

    raw = run(program, "-r", path_of(served), TEXT)
    assert raw.stdout == spoken(TEXT, sessions[2].seed)


def test_the_c_program_says_what_is_wrong(program: Path, served: Served, tmp_path: Path) -> None:
    unknown = run(program, "-v", "nobody", path_of(served), TEXT)
    assert (unknown.returncode, unknown.stdout) == (1, b"")
    assert b"there are: heart, low" in unknown.stderr
    absent = run(program, str(tmp_path / "nothing"), TEXT)
    assert (absent.returncode, absent.stderr.count(b"nobody listens")) == (1, 1)
    assert run(program, TEXT).returncode == 2


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    unit = (RECIPES / "systemd" / "qwen3-tts-edge.service").read_text()
    program = re.search("^ExecStart=([^ ]+) serve$", unit, re.M)
    assert program
    here = tmp_path / "qwen3-tts-edge.service"
    here.write_text(unit.replace(program[1], shutil.which("true") or "true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", here], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def read(*names: str) -> str:
    """Read recipes, without the marks of comments; a line that goes on is one."""
    files = [file for name in names for file in sorted(RECIPES.glob(name))]
    assert files
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return re.sub(r"\\\n[# *]*", "", text)


EVERYTHING = read("*.md", "*/*.c", "*/*Dockerfile", "*/*.service")


def test_every_flag_of_a_recipe_is_one_of_the_command() -> None:
    lines = re.findall(r"^[# *]*(?:\$ )?(?:\S*/)?qwen3-tts-edge (\w+) ?(.*)$", EVERYTHING, re.M)
    assert len(lines) > 3
    for name, rest in lines:
        command = commands.get_command(click.Context(commands), name)
        assert command, name
        words = shlex.split(rest)
        with command.make_context(name, words):
            pass
    inline = set(re.findall(r"`qwen3-tts-edge (\w+)", EVERYTHING))
    assert inline <= set(commands.list_commands(click.Context(commands)))
    said = set(re.findall(r"`(?:-- )?(--[a-z][a-z-]*)", EVERYTHING))
    ours = {flag for each in serve.params for flag in each.opts}
    assert said - {"--add-host"} <= ours
    assert said


def test_every_variable_of_a_recipe_is_read() -> None:
    named = set(re.findall(r"QWEN3_TTS_EDGE_\w+", EVERYTHING))
    given = {each.envvar or f"QWEN3_TTS_EDGE_{(each.name or '').upper()}" for each in serve.params}
    assert len(named) > 5
    assert named <= {*given, library.VARIABLE}


def test_every_port_path_and_extra_of_a_recipe_is_there() -> None:
    root = RECIPES.parents[1]
    http = next(each for each in serve.params if each.name == "port").default
    images = read("docker/*Dockerfile")
    assert set(re.findall(r"EXPOSE (\d+)|127\.0\.0\.1:(\d+)/health|-p (\d+):", images)) == {
        (str(http), "", ""), ("", str(http), ""), ("", "", str(http)),
    }  # fmt: skip
    assert set(re.findall(r"ADDRESS:(\d+)/v1", read("*.md"))) == {str(http)}
    assert set(re.findall(r"tcp://[\d.]+:(\d+)", EVERYTHING)) == {"10200"}
    for source in re.findall(r"^COPY (?!--)(.*) /src", images, re.M):
        assert all(map(os.path.exists, (root / each for each in source.split())))
    for page in RECIPES.glob("*.md"):
        for link in re.findall(r"\]\(([^):]+)\)", page.read_text(encoding="utf-8")):
            assert (RECIPES / link).exists(), link
    project = msgspec.toml.decode((root / "pyproject.toml").read_bytes())["project"]
    extras = re.findall(r"(?:/src|\.|PROJECT)\[([a-z,-]+)\]", EVERYTHING)
    assert len(extras) > 4
    assert {each for some in extras for each in some.split(",")} <= set(
        project["optional-dependencies"]
    )
