"""Frames into chunks, and chunks into samples that do not depend on the chunking."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.codec.decoder import RAMP, CodecDecoder, chunks
from qwen3_tts_edge.errors import InputError


@pytest.fixture(scope="module")
def codec(voice_bundle: Path) -> CodecDecoder:
    return Synthesizer.open(voice_bundle, max_seconds=1).codec


def some_codes(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, 16))


def decoded(codec: CodecDecoder, codes: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    codec.begin()
    return np.concatenate([codec.push(piece) for piece in chunks(codes, sizes)])


@given(st.integers(0, 60), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_chunks_are_of_the_sizes_asked_for(count: int, sizes: list[int]) -> None:
    frames = [np.full(16, number) for number in range(count)]
    made = list(chunks(frames, sizes))
    assert [len(chunk) for chunk in made[:-1]] == (sizes + sizes[-1:] * 60)[: max(len(made) - 1, 0)]
    together = np.concatenate(made)[:, 0] if made else np.zeros(0)
    assert together.tolist() == list(range(count))


def test_the_ramp_begins_with_a_single_frame() -> None:
    frames = [np.zeros(16, np.int64)] * 30
    assert [len(chunk) for chunk in chunks(frames)] == [1, 2, 4, 8, 8, 7]
    assert RAMP == (1, 2, 4, 8)


def test_a_chunk_is_handed_on_as_soon_as_it_is_full() -> None:
    taken = []

    def frames() -> object:
        for number in range(9):
            taken.append(number)
            yield np.full(16, number)

    made = chunks(frames(), (2, 3))
    next(made)
    assert taken == [0, 1]
    next(made)
    assert taken == [0, 1, 2, 3, 4]


def test_any_chunking_gives_the_same_samples(codec: CodecDecoder) -> None:
    """Longer than the codec's window of 72 frames."""
    codes = some_codes(76)
    whole = decoded(codec, codes, (76,))
    assert whole.shape == (76 * 1920,)
    assert np.abs(decoded(codec, codes, (1, 7, 2)) - whole).max() <= 1e-5


def test_begin_forgets_what_was_spoken(codec: CodecDecoder) -> None:
    codes = some_codes(5)
    first = decoded(codec, codes, (5,))
    decoded(codec, some_codes(20, seed=1), (20,))
    assert np.array_equal(decoded(codec, codes, (5,)), first)


def test_samples_are_playable(codec: CodecDecoder) -> None:
    samples = decoded(codec, some_codes(20), RAMP)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert 0.01 < np.abs(samples).max() <= 1


@pytest.mark.parametrize("shape", [(0, 16), (3, 15), (16,), (1, 3, 16)])
def test_codes_of_another_shape(codec: CodecDecoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"codes have shape .*; expected \(frames, 16\)"):
        codec.push(np.zeros(shape, np.int64))


@pytest.mark.parametrize(("low", "high"), [(-1, 0), (0, 256), (258, 258)])
def test_codes_outside_the_codebook(codec: CodecDecoder, low: int, high: int) -> None:
    codes = np.zeros((2, 16), np.int64)
    codes[0, 3], codes[1, 15], codes[0, 0] = low, high, low
    with pytest.raises(InputError, match=rf"range over .*{high}; the codebooks have 0\.\.255"):
        codec.push(codes)
