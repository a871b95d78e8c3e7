"""The bundled voice, opened."""

from pathlib import Path

import pytest

from qwen3_tts_edge import Synthesizer


@pytest.fixture(scope="module")
def tts(voice_bundle: Path) -> Synthesizer:
    return Synthesizer.open(voice_bundle)


@pytest.fixture
def alone(voice_bundle: Path) -> Synthesizer:
    """One slot."""
    return Synthesizer.open(voice_bundle, slots=1, verify=False)
