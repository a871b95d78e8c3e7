"""Fixtures shared by all tests: tiny random checkpoints, and what the run stands on."""

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

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
