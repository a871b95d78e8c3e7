"""A recording of any length is encoded window by window."""

from pathlib import Path

import numpy as np
import pytest

from qwen3_tts_edge.backends import open_backend
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.codec.encoder import CodecEncoder
from recordings import voice


@pytest.fixture(scope="module")
def encoder(request: pytest.FixtureRequest) -> CodecEncoder:
    pytest.importorskip("torch")
    base: Path = request.getfixturevalue("tiny_bundle")("base")
    return CodecEncoder.open(Bundle.open(base), open_backend(threads=1))


def test_up_to_a_minute_windows_are_the_whole(encoder: CodecEncoder) -> None:
    samples = voice(6.03)
    whole = encoder.encode(samples)
    assert len(whole) == -(-len(samples) // 1920)
    for size in (999, 24000, len(samples)):
        pieces = encoder.windows(samples[i : i + size] for i in range(0, len(samples), size))
        assert np.array_equal(np.concatenate(list(pieces)), whole)
    assert list(encoder.windows([])) == []


@pytest.mark.parametrize("extra", [-1, 0, 1, 1919, 1920, 40 * 1920])
def test_windows_beyond_a_minute_lose_no_frame(encoder: CodecEncoder, extra: int) -> None:
    """Shorter windows, the same seams: the first window is exact and every frame is there once."""
    samples = np.resize(voice(4), 2 * 40 * 1920 + extra)
    whole = encoder.encode(samples)
    blocks = np.array_split(samples, 17)
    windows = np.concatenate(list(encoder.windows(blocks, exact_seconds=3.2, heard_seconds=2.4)))
    assert windows.shape == whole.shape
    assert np.array_equal(windows[:40], whole[:40])
    assert (windows[:, 0] == whole[:, 0]).mean() > 0.8
