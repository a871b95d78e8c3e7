"""What is kept of the judge is its answer to this very question."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kept
from oracle import CASES, answers
from oracle.answers import AskedOnce

CODES = np.arange(32).reshape(2, 16)


class StandIn:
    """The official package, if it said nothing but how often it was asked."""

    def __init__(self) -> None:
        self.asked = self.loaded = 0

    def load(self, _: Path) -> "StandIn":
        self.loaded += 1
        return self

    def codes(self, *_: Any, **__: Any) -> np.ndarray:
        self.asked += 1
        return np.array([self.asked])

    decode = teacher_forced = codes


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()
    monkeypatch.setattr(answers, "load_official", made.load)
    monkeypatch.setattr(kept, "CACHE", tmp_path / "cache")
    return made


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], AskedOnce]:
    """Return a function that opens a checkpoint of these weights, as each process does."""

    def open_anew(weights: str = "weights") -> AskedOnce:
        folder = tmp_path / "checkpoint"
        (folder / "speech_tokenizer").mkdir(parents=True, exist_ok=True)
        for path in (folder / "config.json", folder / "speech_tokenizer" / "model.safetensors"):
            path.write_text(weights)
        return AskedOnce(folder, answers.answers())

    return open_anew


def test_whoever_asks_again_gets_the_answer_and_loads_nothing(
    model: StandIn, opened: Callable[..., AskedOnce]
) -> None:
    first = opened().codes(CASES[0], 3)
    first += 7  # his own
    assert opened().codes(dataclasses.replace(CASES[0]), 3) == [1]
    assert (model.loaded, model.asked) == (1, 1)


def test_another_question_is_another_answer(
    model: StandIn, opened: Callable[..., AskedOnce]
) -> None:
    other = CODES.copy()
    other[1, 3] += 1
    one = opened()
    asked: list[Callable[[], Any]] = [
        lambda: one.codes(CASES[0], 3),
        lambda: one.codes(CASES[0], 4),
        lambda: one.codes(CASES[1], 3),
        lambda: one.codes(CASES[0], 3, repetition_penalty=2.0),
        lambda: one.codes(CASES[0], 3, temperature=2.0),
        lambda: one.decode(CODES),
        lambda: one.decode(other),
        lambda: one.decode(CODES.astype(np.int32)),
        lambda: one.decode(CODES.reshape(1, 32)),
        lambda: one.teacher_forced(CASES[0], CODES),
    ]
    assert [int(ask()[0]) for ask in asked] == list(range(1, len(asked) + 1))
    assert opened("others").codes(CASES[0], 3) == [len(asked) + 1]
    assert [int(ask()[0]) for ask in asked] == list(range(1, len(asked) + 1))
