"""Speech that does not end: when it is cut, and that another seed is tried."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from qwen3_tts_edge import Request, Sampling, Synthesizer
from qwen3_tts_edge.cli import commands
from qwen3_tts_edge.speech.patience import other_seeds, patience
from qwen3_tts_export.parity.judge import sentences

TEXT = "Hi."
QUESTION = "What time is it in Tokyo right now?"
ENDLESS = Sampling(repetition_penalty=0.01)
"""What was said once is said again and again."""


@pytest.fixture(scope="module")
def tts(voice_bundle: Path) -> Synthesizer:
    return Synthesizer.open(voice_bundle)


def test_there_is_time_for_three_times_as_slow_a_speaker() -> None:
    spoken = sentences()
    assert len(spoken) == 80
    assert [x.text for x in spoken if patience(x.text) < 3 * x.teacher_seconds] == []


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("1次", 0.6),
        ("今天天气很好，我们一起去公园散步吧。", 4.0),
        ("今日はとても良い天気なので、公園へ行きましょう。", 4.5),
        ("오늘은 날씨가 참 좋네요. 같이 공원에 갈까요?", 4.0),
        ("Сегодня прекрасная погода, пойдём в парк.", 3.5),
        ("Das Wetter ist schön, wir gehen in den Park.", 3.2),
        ("3.14159265358979", 6.5),
        ("NASA, IBM, HTTP, XML, JSON", 6.0),
    ],
)
def test_and_in_other_languages_and_for_what_is_spelled(text: str, usual: float) -> None:
    """Usual seconds by the speech rates of the languages, four to seven syllables a second."""
    assert 3 * usual <= patience(text) <= 10 * usual + 5


def test_other_seeds_come_after_the_first_and_none_where_nothing_is_drawn() -> None:
    drawn, greedy = Sampling(do_sample=True), Sampling.greedy()
    assert list(other_seeds(7, drawn)) == [8, 9]
    assert list(other_seeds(2**64 - 2, drawn)) == [2**64 - 1, 0]
    assert list(other_seeds(7, greedy)) == []


def test_what_does_not_end_is_cut_when_its_text_would_long_be_spoken(tts: Synthesizer) -> None:
    pieces = list(tts.stream(TEXT, seed=1, sampling=ENDLESS))
    metrics = pieces[-1].metrics
    assert (metrics.ended, metrics.ran_away, metrics.attempts) == (False, True, 1)
    assert metrics.audio == pytest.approx(patience(TEXT), abs=0.08)


def test_a_limit_that_was_asked_for_is_kept(tts: Synthesizer) -> None:
    longer = patience(TEXT) + 1.0
    audio = tts.speak(TEXT, seed=1, sampling=ENDLESS, max_seconds=longer)
    assert audio.metrics.audio == pytest.approx(longer, abs=0.08)
    assert (audio.metrics.ended, audio.metrics.ran_away) == (False, False)
    assert audio.metrics.attempts == 1


def test_what_there_is_no_room_for_has_not_run_away(voice_bundle: Path) -> None:
    small = Synthesizer.open(voice_bundle, max_seconds=0.08, verify=False)
    audio = small.speak("word " * 248, seed=1, text_layout="upfront")
    assert (audio.metrics.ended, audio.metrics.ran_away, audio.seed) == (False, False, 1)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, tts: Synthesizer) -> tuple[int, int]:
    """Patience for one of two seeds in a row, and not for the first: a seed, and how many end."""
    lengths = [len(tts.speak(QUESTION, seed=seed, max_seconds=8).codes) for seed in range(12)]
    first = next(s for s in range(10) if lengths[s] > lengths[s + 1] + 1)
    frames = lengths[first + 1] + 1  # and one for the end of speech
    monkeypatch.setattr("qwen3_tts_edge.synthesizer.patience", lambda _: frames * 0.08)
    return first, lengths[first + 1]


def test_it_is_begun_anew_with_the_next_seed(tts: Synthesizer, impatient: tuple[int, int]) -> None:
    first, frames = impatient
    audio = tts.speak(QUESTION, seed=first)
    assert (audio.metrics.ended, audio.metrics.attempts, audio.seed) == (True, 2, first + 1)
    assert len(audio.codes) == frames
    again = tts.speak(QUESTION, seed=first + 1)
    assert again.metrics.attempts == 1
    assert np.array_equal(again.samples, audio.samples)


def test_in_a_batch_too(tts: Synthesizer, impatient: tuple[int, int]) -> None:
    first, _ = impatient
    alone = tts.speak(QUESTION, seed=first)
    requests = [Request(QUESTION, seed=first + 1), Request(QUESTION, seed=first)]
    fine, anew = tts.speak_batch(requests)
    assert [each.metrics.attempts for each in (fine, anew)] == [1, 2]
    assert anew.seed == alone.seed == fine.seed
    assert np.array_equal(anew.codes, alone.codes)
    assert np.array_equal(fine.codes, alone.codes)


def test_and_given_up_after_two_more(tts: Synthesizer) -> None:
    audio = tts.speak(TEXT, seed=1, sampling=ENDLESS)
    assert (audio.metrics.ran_away, audio.metrics.attempts) == (True, 3)
    assert audio.seed == 3


def test_on_the_command_line_a_file_is_made_anew_and_what_was_heard_is_not(
    tts: Synthesizer, impatient: tuple[int, int], tmp_path: Path
) -> None:
    first, frames = impatient
    asked = ["speak", QUESTION, "--seed", str(first), "-o"]
    done = CliRunner().invoke(commands, [*asked, str(tmp_path / "a.pcm")])
    assert done.exit_code == 0, done.output
    assert done.stderr.count("warning: ") == 1
    assert f"seed {first + 1}" in done.stderr.splitlines()[-1]
    assert (tmp_path / "a.pcm").stat().st_size == 2 * 1920 * frames
    done = CliRunner().invoke(commands, [*asked, "-"])
    assert "another seed is the cure" in done.stderr
    assert len(done.stdout_bytes) == 2 * 1920 * (frames + 1)
