"""Fixtures shared by all tests: tiny random checkpoints, and what the run stands on."""

import functools
import platform
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import pytest

from tiny import EDGE_VOICE, Kind, tiny_config

TinyCheckpoint = Callable[..., Path]


def pytest_report_header() -> str:
    """Name the versions a result depends on."""
    names = ("torch", "onnx", "onnxruntime", "transformers", "qwen-tts")
    return f"python {platform.python_version()}, " + ", ".join(map(_version, names))


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} absent"


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> TinyCheckpoint:
    """Return a function that gives the folder of a tiny random checkpoint.

    `tiny_checkpoint("base", "narrow", seed=3)`; the session shares the folder: copy before editing.
    """
    # Here and not above: the tests of the runtime also run where PyTorch is not installed.
    from qwen3_tts_export.random_checkpoint import write_random

    made: dict[tuple[Kind, str, int], Path] = {}

    def make(
        kind: Kind = "custom_voice",
        predictor: Literal["same", "narrow"] = "same",
        *,
        seed: int = 0,
    ) -> Path:
        key = (kind, predictor, seed)
        if key not in made:
            folder = tmp_path_factory.mktemp("checkpoint") / f"tiny-{kind}-{predictor}-{seed}"
            config, codec = tiny_config(kind, predictor)
            made[key] = write_random(folder, config, codec, seed=seed, tokenizer_from=EDGE_VOICE)
        return made[key]

    return make


@pytest.fixture(scope="session")
def voice_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the bundled voice in int8: the one in models/ if it was exported, else a fresh one."""
    from qwen3_tts_edge.bundled import bundled_voice
    from qwen3_tts_edge.errors import BundleError

    try:
        return bundled_voice()
    except BundleError:
        pytest.importorskip("torch")
    from qwen3_tts_export.bundle import write_bundle
    from qwen3_tts_export.checkpoint import Checkpoint

    folder = tmp_path_factory.mktemp("voice") / "int8"
    return write_bundle(Checkpoint.open(EDGE_VOICE), folder, precision="int8")


TinyBundle = Callable[..., Path]


@pytest.fixture(scope="session")
def one_thread() -> None:
    """Run torch on one thread: tiny networks on more only wait for each other, up to 20 times."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_bundle(
    tiny_checkpoint: TinyCheckpoint, tmp_path_factory: pytest.TempPathFactory, one_thread: None
) -> TinyBundle:
    """Return a function that gives the bundle of a tiny checkpoint; each takes half a minute.

    The voice_design checkpoint with the `same` predictor has the very tensors of the custom_voice
    one, so its bundle is that one's files under its own manifest.
    """
    from qwen3_tts_edge.manifest import FILE, Manifest
    from qwen3_tts_export.bundle import describe, write_bundle
    from qwen3_tts_export.checkpoint import Checkpoint

    made: dict[tuple[Kind, str, str], Path] = {}

    def make(
        kind: Kind = "custom_voice",
        predictor: Literal["same", "narrow"] = "same",
        precision: str = "fp32",
    ) -> Path:
        key = (kind, predictor, precision)
        if key in made:
            return made[key]
        checkpoint = Checkpoint.open(tiny_checkpoint(kind, predictor))
        folder = tmp_path_factory.mktemp("bundle") / f"tiny-{kind}-{predictor}-{precision}"
        if (kind, predictor) == ("voice_design", "same"):
            twin = make("custom_voice", predictor, precision)
            folder.mkdir()
            for file in twin.iterdir():
                if file.name != FILE:
                    shutil.copyfile(file, folder / file.name)
            graphs = Manifest.load(twin).graphs
            describe(checkpoint, folder, precision, "ort", dict(graphs)).save(folder)
        else:
            write_bundle(checkpoint, folder, precision=precision)
        made[key] = folder
        return folder

    return make


@pytest.fixture(scope="session")
def exact_voice_bundle(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """Give the bundled voice in fp32, exported now."""
    from qwen3_tts_export.bundle import write_bundle
    from qwen3_tts_export.checkpoint import Checkpoint

    folder = tmp_path_factory.mktemp("voice") / "fp32"
    return write_bundle(Checkpoint.open(EDGE_VOICE), folder, precision="fp32")


@pytest.fixture(scope="session")
def judge(one_thread: None) -> Callable[[Path], Any]:
    """Return a function that opens a checkpoint folder in the official package, once a session."""
    from oracle import load_official

    return functools.cache(load_official)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how close the parity tests came."""
    table = sys.modules.get("parity.tolerances")
    if table is None or not table.measured:
        return
    terminalreporter.section("parity: largest differences measured")
    for what, value in sorted(table.measured.items()):
        allowed = table.LADDER.get(what)
        limit = f" of {allowed.largest:.0e} allowed" if allowed else ""
        terminalreporter.write_line(f"{what:28} {value:.3g}{limit}")
