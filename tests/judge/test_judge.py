"""The judge's arithmetic; the recogniser itself is tested where there is something to hear."""

import json
from importlib import resources

import pytest

from qwen3_tts_export.parity.judge import (
    SETS,
    Errors,
    Sentence,
    Verdict,
    Verdicts,
    errors,
    sentences,
)


def test_at_least_sixty_sentences_are_fixed_and_differ() -> None:
    asked = sentences()
    assert len({sentence.text for sentence in asked}) == len(asked) >= 60
    assert all(sum(s.kind == kind for s in asked) >= 30 for kind in SETS)
    assert all(1.0 < s.teacher_seconds < 7.0 for s in asked)


def test_the_teachers_times_are_of_these_sentences_and_no_others() -> None:
    folder = resources.files("qwen3_tts_export") / "sentences"
    times = json.loads((folder / "teacher_seconds.json").read_text("utf-8"))
    assert list(times) == [sentence.text for sentence in sentences()]


@pytest.mark.parametrize(
    ("said", "transcript", "wrong"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "A, B! C.", 0),
        ("a b c", "a c", 1),
        ("a b c", "a b b c", 1),
        ("a b c", "a x c", 1),
        ("a b c", "", 3),
        ("a b", "x y z", 3),
    ],
)
def test_errors_are_words_put_in_left_out_or_mistaken(
    said: str, transcript: str, wrong: int
) -> None:
    pytest.importorskip("jiwer", reason="the extra `judge` is not installed")
    assert errors(said, transcript) == Errors(wrong, len(said.split()))


@pytest.mark.parametrize(
    ("said", "transcript"),
    [
        ("Set a timer for 25 minutes.", "set a timer for twenty-five minutes"),
        ("It's late!", "it is late"),
        ("The 3rd of June", "the third of June"),
        ("forty two percent", "42%"),
        ("1,250", "one thousand two hundred fifty"),
        ("Mr. Smith's colour", "mister Smith's color"),
    ],
)
def test_words_are_compared_whatever_their_spelling(said: str, transcript: str) -> None:
    pytest.importorskip("jiwer", reason="the extra `judge` is not installed")
    assert errors(said, transcript).wrong == 0


def test_verdicts_add_up_by_set() -> None:
    def verdict(kind: str, wrong: int, ended: bool, seconds: float) -> Verdict:
        return Verdict(Sentence("a b", kind, 2.0), "", Errors(wrong, 2), ended, seconds)

    made = Verdicts((verdict("everyday", 1, True, 2.0), verdict("open", 0, False, 5.0)))
    assert made.errors.rate == 0.25
    assert made.of("everyday").errors == Errors(1, 2)
    assert made.ended == 0.5
    assert made.stretch == (1.75, 2.5)
