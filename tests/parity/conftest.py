"""Our modules, for what is held against them."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from parity.forced import Modules
from tiny import EDGE_VOICE


@pytest.fixture(scope="module")
def modules(tiny_checkpoint: Callable[..., Path]) -> Callable[[str], Modules]:
    """Return a function that gives the modules of the bundled voice, or of a tiny checkpoint."""

    @functools.cache
    def load(name: str) -> Modules:
        return Modules(
            EDGE_VOICE if name == "edge-voice" else tiny_checkpoint("custom_voice", name)
        )

    return load
