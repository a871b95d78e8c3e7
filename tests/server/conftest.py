"""The server that all protocols are tested on."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("uvicorn")

if TYPE_CHECKING:
    from server.serving import Served


@pytest.fixture(scope="session")
def served(voice_bundle: Path) -> "Iterator[Served]":
    """Serve the bundled voice, four at once and 32 who may wait; everybody may come in."""
    from qwen3_tts_edge.server.settings import Settings
    from server.serving import serving

    with serving(Settings(bundle=voice_bundle, slots=4)) as server:
        yield server
