"""The export's command line; the export itself is tested in its own rooms."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qwen3_tts_edge.bundle.graph_spec import GraphSpec, ReadsSpec, RoundingSpec
from qwen3_tts_edge.bundle.manifest import FRAME
from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_edge.pip import by_own_pip
from qwen3_tts_export import cli
from qwen3_tts_export.bundle import writing as bundle
from qwen3_tts_export.bundle.description import describe
from qwen3_tts_export.checkpoint import hub
from qwen3_tts_export.checkpoint import random as random_checkpoint
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.checkpoint.spec import spec_names
from qwen3_tts_export.engines.target import TARGETS
from qwen3_tts_export.progress import progress_bar
from tiny import EDGE_VOICE

TinyCheckpoint = Callable[..., Path]
PROGRAM = [sys.executable, "-c", "from qwen3_tts_export.cli import main; main()"]


def run(*args: object) -> Result:
    return CliRunner().invoke(cli.commands, [str(arg) for arg in args])


def test_listen_names_the_kinds_there_are(tmp_path: Path) -> None:
    made = run("listen", tmp_path, "--kind", "songs")
    assert made.exit_code != 0
    assert "songs" in made.output
    assert "everyday, open, long, odd, paragraph" in made.output


ROUNDED = RoundingSpec(dtype="float16", numbers=12_000, large=0, subnormal=34, zero=5)


def pretend(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    precision: str,
    flavour: str,
    report: Callable,
    finish: Callable | None,
) -> Path:
    """Write a bundle of one file, in place of the real thing."""
    assert finish is None
    assert checkpoint.name == "edge-voice"
    for share in (0.0, 0.5, 1.0):
        report("frame: weights", share)
    folder.mkdir()
    (folder / precision).write_bytes(b"x" * 100_000)
    rounding = None if flavour == "ort" else ROUNDED
    reads = ReadsSpec(0, 0, 0)
    graph = GraphSpec(precision, (), (), (), in_place=True, reads=reads, rounding=rounding)
    describe(checkpoint, folder, precision, flavour, {FRAME: graph}).save(folder)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "write_bundle", pretend)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("options", "precision"), [([], "int8"), (["--precision", "fp32"], "fp32")]
)
def test_bundle(tmp_path: Path, options: list[str], precision: str) -> None:
    done = run("bundle", EDGE_VOICE, "-o", tmp_path / "out", *options)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / precision).is_file()
    assert done.stdout == ""
    assert done.stderr == f"{tmp_path / 'out'}: edge-voice in {precision} for ort, 0.1 MB\n"


@pytest.mark.usefixtures("quick")
def test_what_rounding_cost_is_told(tmp_path: Path) -> None:
    options = ["--precision", "fp16", "--flavour", "cuda"]
    done = run("bundle", EDGE_VOICE, "-o", tmp_path / "out", *options)
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[1] == (
        "  frame: 12,000 numbers rounded to float16; "
        "0 were too large, 34 lost digits, 5 became zero"
    )


def test_a_bar_on_a_terminal() -> None:
    mine, theirs = pty.openpty()
    code = """
from qwen3_tts_export.progress import progress_bar
with progress_bar() as report:
    report("frame: weights", 0.42)
"""
    subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True)
    shown = os.read(mine, 65536).decode()
    assert "42%" in shown
    assert "frame: weights" in shown


def test_a_line_a_minute_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 59.0, 60.0, 119.0, 135.4])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    with progress_bar() as report:
        for step in (1, 2, 3, 4):
            report(f"predictor, step {step}", step / 8)
    assert capsys.readouterr().err.splitlines() == [
        "25% after 1:00: predictor, step 2",
        "50% after 2:15: predictor, step 4",
    ]


def test_the_names_in_the_help_are_the_specs() -> None:
    named = re.findall(r"\d\.\db-\w+", run("random", "--help").stdout.split("one of:")[1])
    prefix = "qwen3-tts-12hz-"
    assert sorted(named) == [
        name.removeprefix(prefix) for name in spec_names() if "tokenizer" not in name
    ]


def test_the_targets_in_the_help_are_those_there_are() -> None:
    assert set(TARGETS) <= set(run("engines", "--help").stdout.split("Targets:")[1].split())


@pytest.mark.parametrize("command", ["bundle", "random", "engines"])
def test_help_has_examples(command: str) -> None:
    assert f"qwen3-tts-export {command}" in run(command, "--help").stdout.split("Examples:")[1]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["bundle", "nothing", "-o", "out"], 1, "nothing is not a folder, nor a hub id"),
        (["bundle", ".", "-o", "out"], 1, "config.json"),
        (["bundle", EDGE_VOICE], 2, "Missing option '-o'"),
        (["bundle", EDGE_VOICE, "-o", "."], 2, ". already exists"),
        (["bundle", EDGE_VOICE, "-o", "out", "--precision", "int3"], 2, "is not one of 'int8',"),
        (["bundle", EDGE_VOICE, "-o", "out", "--precision", "fp16"], 2, "not for the flavour ort"),
        (["bundle", EDGE_VOICE, "-o", "out", "--revision", "main"], 1, "belongs to a hub id"),
        (["random", "7b-opera", "-o", "out"], 2, "no spec is called '7b-opera'; choose one of"),
        (["random", "1.7b-base", "-o", "."], 2, "already exists"),
        (["engines", "nothing", "--target", "rtx"], 1, "nothing is not a bundle"),
        (["engines", "nothing", "--target", "sm_87"], 2, "no target is called 'sm_87'; choose one"),
        (["engines", "nothing"], 2, "Missing option '--target'"),
        (["sing"], 2, "No such command 'sing'"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[object], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*args)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr.splitlines()[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--precision", "fp16"], "not for the flavour ort"),
        (["--precision", "int4", "--flavour", "compat"], "not for the flavour compat"),
        (["-o", "."], ". already exists"),
        (["-o", "file/out"], "file is not a folder; choose another place"),
        (["-o", "\udce9"], "expected a path in UTF-8"),
        (["--codec", "nothing"], "nothing is not a folder, nor a hub id"),
    ],
)
def test_what_is_refused_is_refused_before_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr(hub, "downloaded", lambda *_, **__: pytest.fail("downloaded"))
    done = run("bundle", "someone/tiny", "-o", "out", *args)
    assert message in done.stderr.splitlines()[0]
    done = run("parity", ".", "--checkpoint", "someone/tiny")
    assert ". is not a bundle" in done.stderr or f"{tmp_path} is not a bundle" in done.stderr
    done = run("check", "nothing", "--codec", "someone/tiny")
    assert "nothing is not a folder" in done.stderr


def test_an_error_on_the_way_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, report: Callable, **__: object) -> None:
        report("frame: weights", 0.5)
        raise CheckpointError("the disk is full")

    monkeypatch.setattr(bundle, "write_bundle", fail)
    done = run("bundle", EDGE_VOICE, "-o", tmp_path / "out")
    assert (done.exit_code, done.stderr) == (1, "error: the disk is full\n")


def test_random_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: TinyCheckpoint
) -> None:
    tiny = tiny_checkpoint()

    def small(name: str, folder: Path, seed: int, report: Callable) -> Path:
        report("model.safetensors", 0.5)
        assert (name, folder, seed) == ("0.6b-base", tmp_path / "out", 5)
        return tiny

    monkeypatch.setattr(random_checkpoint, "random_from_spec", small)
    done = run("random", "0.6b-base", "-o", tmp_path / "out", "--seed", 5)
    assert done.exit_code == 0
    assert "random weights in the shapes of 0.6b-base" in done.stderr
    assert "for benchmarks, it cannot speak" in done.stderr


@pytest.mark.parametrize("missing", ["torch", "onnxscript", "rich"])
def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path, missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None\n{PROGRAM[2]}"
    args = [sys.executable, "-c", code, "bundle", str(EDGE_VOICE), "-o", str(tmp_path / "out")]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    expected = f'error: exporting needs {missing}; run: pip install "qwen3-tts-edge[export]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (1, "", by_own_pip(expected))
    assert list(tmp_path.iterdir()) == []


def test_building_engines_asks_for_less(tmp_path: Path) -> None:
    code = f"import sys; sys.modules['onnx'] = None\n{PROGRAM[2]}"
    args = [sys.executable, "-c", code, "engines", str(tmp_path), "--target", "rtx"]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    expected = 'error: building engines needs onnx; run: pip install "qwen3-tts-edge[rtx]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (1, "", by_own_pip(expected))


def test_help_needs_no_torch() -> None:
    code = f"import sys; sys.modules['torch'] = None\n{PROGRAM[2]}"
    args = [sys.executable, "-c", code, "bundle", "--help"]
    done = subprocess.run(args, capture_output=True, text=True, check=True)
    assert "--precision [int8|" in done.stdout
