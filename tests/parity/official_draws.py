"""What the official package would draw, and what of ours is held against it.

The draw is an input of the graph, so the distribution needs no luck: a code must be chosen for
exactly those draws that lie in its part of the official cumulative distribution.
"""

from typing import Any

import numpy as np
from scipy import stats

from oracle import Case, official_probabilities, official_scores
from parity.tolerances import LADDER, note

VOICED = Case("custom_voice", "same", "Set a timer.", "heart", "english", None, False)

SETTINGS: dict[str, dict[str, Any]] = {
    "the defaults": {"temperature": 0.9, "top_k": 50, "top_p": 1.0},
    "every code": {"temperature": 1.0, "top_k": 0, "top_p": 1.0},
    "a nucleus": {"temperature": 1.0, "top_k": 0, "top_p": 0.8},
    "a nucleus of fifty": {"temperature": 1.4, "top_k": 50, "top_p": 0.5},
    "a crumb": {"temperature": 0.9, "top_k": 50, "top_p": 0.01},
    "cold": {"temperature": 0.3, "top_k": 0, "top_p": 0.95},
    "hot": {"temperature": 2.0, "top_k": 7, "top_p": 1.0},
    "greedy": {"do_sample": False},
}


def distribution(logits: np.ndarray, seen: list[int], step: int, **settings: Any) -> np.ndarray:
    """The official distribution, float32 (vocab,); greedy, all of it is on the first maximum."""
    if settings.get("do_sample", True):
        return official_probabilities(logits, seen, step, **settings)
    scores = official_scores(logits, seen, step, **settings)
    return (np.arange(len(scores)) == scores.argmax()).astype(np.float32)


def assert_inverse_cdf(
    draw: np.ndarray, codes: np.ndarray, probability: np.ndarray, scores: np.ndarray, at: str
) -> None:
    """Every code was chosen by draws of its own part of the official distribution only.

    Args:
        draw: (n,).
        codes: (n,), chosen.
        probability: (vocab,), official.
        scores: (vocab,): codes stand in the order of these, ties by index.
        at: For the failure message.
    """
    order = np.argsort(-scores, kind="stable")
    upper = np.empty(len(order))
    upper[order] = np.cumsum(probability[order], dtype=np.float64) / probability.sum(dtype="f8")
    lower = upper - probability
    assert (probability[codes] > 0).all(), f"{at}: a code that is never drawn officially"
    outside = np.maximum(lower[codes] - draw, draw - upper[codes])
    worst = int(outside.argmax())
    assert outside[worst] <= LADDER["sampling.probabilities"].largest, (
        f"{at}: draw {draw[worst]:.7f} gave code {codes[worst]}, whose draws are officially "
        f"{lower[codes[worst]]:.7f} to {upper[codes[worst]]:.7f}"
    )
    note("sampling.probabilities", max(0.0, float(outside[worst])))


def assert_frequencies(codes: np.ndarray, probability: np.ndarray, at: str) -> None:
    """Chi-square of drawn codes against official probabilities, rare codes taken together."""
    expected = probability.astype(np.float64) / probability.sum(dtype="f8") * len(codes)
    found = np.bincount(codes, minlength=len(probability))
    common = expected >= 8
    expected = np.append(expected[common], expected[~common].sum())
    found = np.append(found[common], found[~common].sum())
    if expected[-1] < 1:  # too few to count: with the most frequent
        expected[expected.argmax()] += expected[-1]
        found[expected.argmax()] += found[-1]
        expected, found = expected[:-1], found[:-1]
    if len(expected) == 1:
        assert found[0] == len(codes), at
        return
    pvalue = stats.chisquare(found, expected * found.sum() / expected.sum()).pvalue
    assert pvalue > 1e-4, f"{at}: chi-square p {pvalue:.2g}"
