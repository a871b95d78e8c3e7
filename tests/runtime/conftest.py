"""The bundled voice, opened, and at a shell."""

from pathlib import Path

import pytest

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.cache import VARIABLE


@pytest.fixture(scope="module")
def tts(voice_bundle: Path) -> Synthesizer:
    return Synthesizer.open(voice_bundle)


@pytest.fixture
def alone(voice_bundle: Path) -> Synthesizer:
    """One slot."""
    return Synthesizer.open(voice_bundle, slots=1, verify=False)


@pytest.fixture
def here(
    voice_bundle: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run in an empty folder, with the bundled voice as the default model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QWEN3_TTS_EDGE_MODEL", str(voice_bundle))
    monkeypatch.setenv(VARIABLE, str(tmp_path_factory.mktemp("cache")))
