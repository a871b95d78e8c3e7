"""What the tests of `compat` say to both packages, and how they compare the answers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parity.tolerances import assert_close
from qwen3_tts_edge.compat import Qwen3TTSModel

Both = Callable[..., tuple[Qwen3TTSModel, Any]]

FRAMES = 10
GREEDY = {"do_sample": False, "subtalker_dosample": False, "max_new_tokens": FRAMES + 1}
HELLO, BYE = "Hello there, my friend.", "And now the train leaves."
SAID = "This is what the recording says."
RYAN = {"text": HELLO, "speaker": "ryan"}


def sound(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Tones and noise that come and go, float32 (n,)."""
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * draw.uniform(90, 900) * time) for _ in range(4))
    noise = draw.standard_normal(len(time)) * 0.1
    return ((tone + noise) * (1 + np.sin(7 * time)) * 0.05).astype(np.float32)


def assert_same_wavs(found: tuple[list, int], expected: tuple[list, int], at: str) -> None:
    assert found[1] == expected[1] == 24000
    assert len(found[0]) == len(expected[0])
    for row, (mine, theirs) in enumerate(zip(found[0], expected[0], strict=True)):
        assert mine.dtype == theirs.dtype == np.float32
        # Upstream's cut after a reference is a rounded share, at times one sample early.
        assert len(theirs) - len(mine) in (0, 1)
        assert_close("streaming.official", mine, theirs[len(theirs) - len(mine) :], f"{at}, {row}")


def error_of(action: Callable[[], Any]) -> Exception:
    try:
        action()
    except Exception as error:
        return error
    pytest.fail("nothing was wrong")
