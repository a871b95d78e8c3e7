"""The judge's arithmetic; the recogniser itself is tested where there is something to hear."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from qwen3_tts_export.cli import commands
from qwen3_tts_export.parity.judge import (
    PARAGRAPH,
    SETS,
    WHISPER_RATE,
    Errors,
    Judge,
    Sentence,
    Verdict,
    Verdicts,
    _cut,
    errors,
    parts,
    sentences,
)


def test_two_hundred_sentences_in_five_kinds_are_fixed_and_differ() -> None:
    asked = sentences()
    assert len({sentence.text for sentence in asked}) == len(asked)
    counts = {kind: sum(len(parts(s)) for s in asked if s.kind == kind) for kind in SETS}
    assert counts == dict.fromkeys(SETS, 40)
    assert all(len(parts(s)) == 10 for s in asked if s.kind == PARAGRAPH)
    assert all(1.0 < s.teacher_seconds < 13.0 for s in asked if s.kind != PARAGRAPH)


def test_an_odd_spelling_is_judged_by_how_it_is_read_aloud() -> None:
    odd = {sentence.text: sentence.spoken for sentence in sentences(["odd"])}
    assert odd["The bridge is closed\nfor repairs."] == "The bridge is closed for repairs."
    assert odd["I paid $18 for two sandwiches."] == "I paid eighteen dollars for two sandwiches."
    assert not any(sign.isdigit() for spoken in odd.values() for sign in spoken)
    assert all(s.spoken == s.text for s in sentences(["everyday", "open", "long", PARAGRAPH]))


@pytest.mark.parametrize("seconds", [3, 24, 25, 70])
def test_long_speech_is_heard_in_parts_that_end_where_it_is_quiet(seconds: int) -> None:
    samples = np.ones(seconds * WHISPER_RATE, np.float32)
    for gap in range(7, seconds, 9):
        samples[gap * WHISPER_RATE :][: WHISPER_RATE // 2] = 0
    heard = list(_cut(samples, 24.0))
    assert np.array_equal(np.concatenate(heard), samples)
    assert all(len(part) <= 24 * WHISPER_RATE for part in heard)
    assert all(not part[-1000:].any() for part in heard[:-1])


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
        ("Come at nine fifteen.", "come at 9.15"),
        ("It's ten forty five, Anna.", "It's 10:45, Anna."),
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
    assert made.stretch == (1.0, 1.75, 2.5)


def test_the_command_says_how_a_bundle_is_understood(voice_bundle: Path, listener: Judge) -> None:
    asked = ["listen", str(voice_bundle), "--kind", "open", "--kind", "odd", "--every", "20"]
    made = CliRunner().invoke(commands, [*asked, "--each"])
    assert made.exit_code == 0, made.output
    *each, odd = made.output.splitlines()
    opened = each.pop(2)
    assert odd.startswith("odd: ")
    assert len(each) == 4
    wrong = sum(int(line.split()[0]) for line in each[:2])
    words = sum(len(s.spoken.split()) for s in sentences(["open"])[::20])
    assert f"open: {wrong / words:.1%} of {words} words wrong; 2 of 2 ended" in opened
