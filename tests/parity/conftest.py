"""The official package and our modules, to be held against each other."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from oracle.answers import AskedOnce, answers
from parity.forced import Modules
from tiny import EDGE_VOICE


@pytest.fixture(scope="session")
def judge(one_thread: None) -> Callable[[Path], AskedOnce]:
    """Return a function that opens a checkpoint folder in the official package."""
    kept = answers()

    @functools.cache
    def opened(folder: Path) -> AskedOnce:
        return AskedOnce(folder, kept)

    return opened


@pytest.fixture(scope="module")
def modules(tiny_checkpoint: Callable[..., Path]) -> Callable[[str], Modules]:
    """Return a function that gives the modules of the bundled voice, or of a tiny checkpoint."""

    @functools.cache
    def load(name: str) -> Modules:
        return Modules(
            EDGE_VOICE if name == "edge-voice" else tiny_checkpoint("custom_voice", name)
        )

    return load
