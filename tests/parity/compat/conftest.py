"""A tiny model opened by both packages, and recordings for them to hear."""

import base64
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from oracle.answers import AskedOnce
from parity.compat.calls import Both, sound
from qwen3_tts_edge.compat import Qwen3TTSModel


@pytest.fixture(scope="module")
def both(
    judge: Callable[[Path], AskedOnce],
    tiny_checkpoint: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
) -> Both:
    """Open a tiny model here and there."""

    @functools.cache
    def opened(kind: str, predictor: str = "same") -> tuple[Qwen3TTSModel, Any]:
        mine = Qwen3TTSModel.from_pretrained(tiny_bundle(kind, predictor), threads=1)
        return mine, judge(tiny_checkpoint(kind, predictor)).live.wrapper

    return opened


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One voice in every form: rates, channels, and ways to hand it over."""
    folder = tmp_path_factory.mktemp("recordings")
    soundfile.write(folder / "mono.wav", sound(1.3, 24000), 24000)
    stereo = np.stack([sound(1.6, 44100, 1), sound(1.6, 44100, 2)], axis=1)
    soundfile.write(folder / "stereo.flac", stereo, 44100)
    wav = (folder / "mono.wav").read_bytes()
    return {
        "path": str(folder / "mono.wav"),
        "stereo": str(folder / "stereo.flac"),
        "data url": "data:audio/wav;base64," + base64.b64encode(wav).decode(),
        "samples": (sound(1.2, 16000, 3), 16000),
    }
