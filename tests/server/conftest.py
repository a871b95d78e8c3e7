"""The server that all protocols are tested on."""

from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="session")
def base(request: pytest.FixtureRequest) -> Path:
    """Give a tiny bundle that clones voices."""
    pytest.importorskip("torch")
    make: Callable[..., Path] = request.getfixturevalue("tiny_bundle")
    return make("base")


@pytest.fixture(scope="session")
def cloning(base: Path, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Served]":
    """Serve it, with an empty folder of voices."""
    from qwen3_tts_edge.server.settings import Settings
    from qwen3_tts_edge.voices import library
    from server.serving import serving

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(library.VARIABLE, str(tmp_path_factory.mktemp("voices") / "kept"))
        with serving(Settings(bundle=base, slots=2)) as server:
            yield server
