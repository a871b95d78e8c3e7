"""A seed means the same speech again."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from qwen3_tts_edge import Synthesizer, Voice
from qwen3_tts_edge.speech.sampling import draws, ranks


def test_a_draw_depends_on_seed_frame_and_codebook_only() -> None:
    table = {(s, f): draws(s, f, 16) for s in (0, 1, 2**64 - 1) for f in (2, 0, 700, 1)}
    for (seed, frame), row in reversed(table.items()):
        assert np.array_equal(draws(seed, frame, 16), row)
        assert np.array_equal(draws(seed, frame, 4), row[:4])
        assert row.dtype == np.float32
    numbers = np.concatenate(list(table.values()))
    assert len(np.unique(numbers)) == numbers.size


def test_the_draws_of_a_seed_never_change() -> None:
    """A golden: with other numbers every seed that somebody wrote down would speak otherwise."""
    golden = {0: [14630964, 4955408, 7048069], 1000: [3427436, 5259229, 448886]}
    for frame, bits in golden.items():
        assert (draws(7, frame, 3) * 2**24).astype(int).tolist() == bits


@pytest.mark.parametrize(
    ("top_k", "sizes"),
    [
        ([[1, 1]], (1, 1)),
        ([[50, 50]], (64, 64)),
        ([[2, 3], [64, 1]], (64, 4)),
        ([[65, 2048]], (128, 2048)),
        ([[3072, 5]], (3072, 8)),
    ],
)
def test_ranks_are_few_sizes_and_never_too_few(
    top_k: list[list[int]], sizes: tuple[int, int]
) -> None:
    found = ranks(np.array(top_k), 3072, 2048)
    for values, size in zip(found.values(), sizes, strict=True):
        assert np.array_equal(values, np.arange(size))
        assert values.dtype == np.int64
    assert list(found) == ["talker_ranks", "predictor_ranks"]


@pytest.mark.parametrize("along", ["frames", "codebooks", "seeds"])
def test_draws_are_uniform_and_independent(along: str) -> None:
    """Kolmogorov-Smirnov against the uniform distribution; neighbours do not know each other."""
    if along == "seeds":
        table = np.stack([draws(seed, 3, 16) for seed in range(4000)])
    else:
        table = np.stack([draws(11, frame, 16) for frame in range(4000)])
    assert table.min() >= 0
    assert table.max() < 1
    assert stats.kstest(table.ravel(), "uniform").pvalue > 1e-3
    columns = table if along == "codebooks" else table.T
    for row in columns[:16]:
        assert stats.kstest(row, "uniform").pvalue > 1e-4
    correlation = np.corrcoef(table, rowvar=False) - np.eye(16)
    assert np.abs(correlation).max() < 5 / np.sqrt(len(table))
    lagged = [np.corrcoef(table[1:, k], table[:-1, k])[0, 1] for k in range(16)]
    assert np.abs(lagged).max() < 5 / np.sqrt(len(table))


def test_a_seed_speaks_the_same_again(exact_voice_bundle: Path) -> None:
    tts = Synthesizer.open(exact_voice_bundle, threads=1, verify=False)
    asked = {"language": "english", "max_seconds": 2.0, "voice": Voice.speaker("heart")}
    first = tts.speak("Set a timer for ten minutes.", seed=5, **asked)
    assert first.seed == 5
    assert len(first.codes) > 10
    again = tts.speak("Set a timer for ten minutes.", seed=5, **asked)
    assert np.array_equal(again.codes, first.codes)
    other = tts.speak("Set a timer for ten minutes.", seed=6, **asked)
    assert not np.array_equal(other.codes[:5], first.codes[:5])
    drawn = tts.speak("Set a timer for ten minutes.", **asked)
    again = tts.speak("Set a timer for ten minutes.", seed=drawn.seed, **asked)
    assert np.array_equal(again.codes, drawn.codes)
