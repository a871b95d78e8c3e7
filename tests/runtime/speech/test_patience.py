"""Speech that does not end, or ends too early: that it is noticed, and another seed is tried."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from qwen3_tts_edge import CapacityError, Request, Sampling, Synthesizer
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.memory import frame_limit
from qwen3_tts_edge.cli import commands
from qwen3_tts_edge.cli.progress import report
from qwen3_tts_edge.pace import patience, too_short, usual_seconds
from qwen3_tts_edge.speech import sampling
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.patience import Limit, limit, other_seeds
from qwen3_tts_edge.speech.utterance import Utterance
from qwen3_tts_export.parity.judge import UTTERED, sentences
from usual_times import SPELLED, USUAL

TEXT = "Hi."
QUESTION = "What time is it in Tokyo right now?"


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no speech end by itself: which seed makes one run away depends on the processor."""
    monkeypatch.setattr(sampling, "MIN_FRAMES", 10**6)


def test_there_is_time_for_three_times_as_slow_a_speaker_and_five_times_as_fast_a_one() -> None:
    told = sentences(UTTERED)
    assert [s.text for s in told if patience(s.text) < 3 * s.teacher_seconds] == []
    assert [s.text for s in told if too_short(s.text, s.teacher_seconds / 2)] == []
    assert [s.text for s in told if not too_short(s.text, s.teacher_seconds / 10)] == []


def test_half_of_what_a_text_usually_takes_is_enough_and_a_tenth_is_not() -> None:
    wrong = [
        text
        for text, usual in [*USUAL, ("Hello.", 0.5), (SHOUTED, 2.0)]
        if too_short(text, usual / 2) or not too_short(text, usual / 10)
    ]
    assert wrong == [SPELLED]  # which might have been words
    for text, _ in USUAL:
        fifth = usual_seconds("".join(filter(str.isalnum, text)).lower()) / 5
        assert too_short(text, fifth * 0.99)
        assert not too_short(text, fifth * 1.01)


def test_what_has_no_letters_is_never_too_short() -> None:
    assert not too_short("?!", 0.0)
    assert not too_short(" ", 0.0)


SHOUTED = "GOOD MORNING, DEAR FRIENDS OF MINE"


def test_and_in_other_languages_and_for_what_is_spelled() -> None:
    wrong = [text for text, usual in USUAL if not 3 * usual <= patience(text) <= 10 * usual + 5]
    assert wrong == []


@pytest.mark.parametrize(
    ("capacity", "text", "seconds", "expected"),
    [
        (1000, TEXT, 2.0, Limit(25, "asked")),
        (60, TEXT, 10.0, Limit(51, "memory")),
        (1000, TEXT, None, Limit(91, "patience")),
        (60, TEXT, None, Limit(51, "memory")),
        (500, None, None, Limit(491, "memory")),
        (500, "a" * 10_000, None, Limit(491, "memory")),
        (9000, "a" * 10_000, None, Limit(511, "checkpoint")),
        (9000, None, None, Limit(511, "checkpoint")),
    ],
)
def test_a_limit_and_its_reason(
    voice_bundle: Path, capacity: int, text: str | None, seconds: float | None, expected: Limit
) -> None:
    assert limit(Manifest.load(voice_bundle), capacity, 10, text, seconds) == expected


def test_no_room_is_an_error_and_no_limit(voice_bundle: Path) -> None:
    manifest = Manifest.load(voice_bundle)
    with pytest.raises(CapacityError, match="the prompt has 31 positions, the KV cache 30"):
        limit(manifest, 30, 31, TEXT, None)
    with pytest.raises(CapacityError, match="10 s are 125 frames"):
        frame_limit(manifest, 60, 31, 10)


def test_other_seeds_come_after_the_first_and_none_where_nothing_is_drawn() -> None:
    drawn, greedy = Sampling(do_sample=True), Sampling.greedy()
    assert list(other_seeds(7, drawn)) == [8, 9]
    assert list(other_seeds(2**64 - 2, drawn)) == [2**64 - 1, 0]
    assert list(other_seeds(7, greedy)) == []


def test_what_does_not_end_is_cut_when_its_text_would_long_be_spoken(
    tts: Synthesizer, endless: None
) -> None:
    pieces = list(tts.stream(TEXT, seed=1))
    metrics = pieces[-1].metrics
    assert (metrics.ended, metrics.ran_away, metrics.attempts) == (False, True, 1)
    assert (metrics.cut, metrics.too_short) == ("patience", False)
    assert metrics.audio == pytest.approx(patience(TEXT), abs=0.08)


def test_a_limit_that_was_asked_for_is_kept(tts: Synthesizer, endless: None) -> None:
    longer = patience(TEXT) + 1.0
    audio = tts.speak(TEXT, seed=1, max_seconds=longer)
    assert audio.metrics.audio == pytest.approx(longer, abs=0.08)
    assert (audio.metrics.ended, audio.metrics.ran_away) == (False, False)
    assert (audio.metrics.attempts, audio.metrics.cut) == (1, "asked")


def test_what_there_is_no_room_for_has_not_run_away(voice_bundle: Path) -> None:
    small = Synthesizer.open(voice_bundle, max_seconds=0.08, verify=False)
    audio = small.speak("word " * 248, seed=1, text_layout="upfront", verbatim=True)
    assert (audio.metrics.ended, audio.metrics.ran_away, audio.seed) == (False, False, 1)
    assert (audio.metrics.cut, audio.metrics.attempts) == ("memory", 1)


@pytest.fixture(scope="module")
def lengths(tts: Synthesizer) -> list[int]:
    """Frames of a question, by seed."""
    asked = [Request(QUESTION, seed=seed, max_seconds=8) for seed in range(40)]
    return [len(audio.codes) for audio in tts.speak_batch(asked)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, lengths: list[int]) -> tuple[int, int]:
    """Patience for one of two seeds in a row, and not for the first: a seed, and how many end."""
    first = next(s for s in range(39) if lengths[s] > lengths[s + 1] + 1)
    frames = lengths[first + 1] + 1  # and one for the end of speech
    monkeypatch.setattr("qwen3_tts_edge.speech.patience.patience", lambda _: frames * 0.08)
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


def test_in_a_long_text_only_the_piece_that_went_wrong(
    tts: Synthesizer, impatient: tuple[int, int]
) -> None:
    first, _ = impatient
    alone = tts.speak(QUESTION, seed=first)
    spoken = [audio for _, audio in tts.pieces(f"{QUESTION}\n\nYes.", seed=first)]
    assert [audio.metrics.attempts for audio in spoken] == [2, 1]
    assert [audio.seed for audio in spoken] == [first + 1, first]
    assert np.array_equal(spoken[0].codes, alone.codes)
    whole = tts.speak(f"{QUESTION}\n\nYes.", seed=first)
    assert whole.seed == first, "which speaks the same again; the next would say Yes otherwise"
    again = tts.speak(f"{QUESTION}\n\nYes.", seed=whole.seed)
    assert np.array_equal(again.codes, whole.codes)


def test_and_given_up_after_two_more(tts: Synthesizer, endless: None) -> None:
    audio = tts.speak(TEXT, seed=1)
    assert (audio.metrics.ran_away, audio.metrics.attempts) == (True, 3)
    assert audio.seed == 3


def test_on_the_command_line_a_file_is_made_anew_and_what_was_heard_is_not(
    tts: Synthesizer, impatient: tuple[int, int], tmp_path: Path
) -> None:
    first, frames = impatient
    asked = ["speak", QUESTION, "--seed", str(first), "-o"]
    done = CliRunner().invoke(commands, [*asked, str(tmp_path / "a.pcm")])
    assert done.exit_code == 0, done.output
    assert "warning: " not in done.stderr
    assert f"seed {first + 1}" in done.stderr.splitlines()[-1]
    assert (tmp_path / "a.pcm").stat().st_size == 2 * 1920 * frames
    done = CliRunner().invoke(commands, [*asked, "-"])
    assert done.exit_code == 1
    assert "another --seed is the cure" in done.stderr
    assert f"seed {first}\n" in done.stderr
    assert len(done.stdout_bytes) == 2 * 1920 * (frames + 1)


# Ended too early


def says_the_end(monkeypatch: pytest.MonkeyPatch, seeds: set[int], frame: int) -> None:
    """Whoever draws by one of these seeds says its end of speech at a frame."""
    plain = Utterance.take

    def take(self: Utterance, codes: np.ndarray, seconds: float) -> None:
        if self.seed in seeds and len(self.codes) == frame:
            codes = codes.copy()
            codes[0] = self._manifest.control_codes.end_of_speech
        plain(self, codes, seconds)

    monkeypatch.setattr(Utterance, "take", take)


def test_speech_that_ends_before_its_text_was_read_is_too_short(
    tts: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamed, a text row is read a frame: those that are left were not spoken, however slow."""
    prompt = tts.prompts.build(QUESTION, text_layout="streamed")
    words = len(prompt.text_rows) - 1
    for frame, expected in ((words - 1, True), (words, False)):
        assert not too_short(QUESTION, frame / 12.5)
        assert prompt.spoken(frame) is not expected
        with monkeypatch.context() as patched:
            says_the_end(patched, {3}, frame)
            stream = tts.stream(QUESTION, seed=3, text_layout="streamed")
            metrics = list(stream)[-1].metrics
        assert (metrics.ended, metrics.too_short, metrics.cut) == (True, expected, None)


def test_upfront_all_was_read_and_seconds_decide(
    tts: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = usual_seconds("".join(filter(str.isalnum, QUESTION)).lower())
    for frame, expected in ((int(usual / 5 * 12.5), True), (int(usual / 2 * 12.5), False)):
        with monkeypatch.context() as patched:
            says_the_end(patched, {3}, frame)
            metrics = list(tts.stream(QUESTION, seed=3, text_layout="upfront"))[-1].metrics
        assert (metrics.ended, metrics.too_short) == (True, expected)


def test_what_ended_too_early_is_begun_anew_too(
    tts: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which seed says all of it by itself is another one where ONNX Runtime multiplies otherwise.
    spoken = (tts.speak(QUESTION, seed=seed) for seed in range(5, 15))
    expected = next(audio for audio in spoken if not audio.metrics.too_short)
    first = expected.seed - 2
    says_the_end(monkeypatch, {first, first + 1}, 2)
    audio = tts.speak(QUESTION, seed=first)
    assert (audio.seed, audio.metrics.attempts) == (expected.seed, 3)
    assert not audio.metrics.too_short
    assert np.array_equal(audio.codes, expected.codes)
    asked = tts.speak(QUESTION, seed=first, max_seconds=9)
    assert (asked.seed, asked.metrics.attempts, asked.metrics.too_short) == (first, 1, True)
    greedy = tts.speak(QUESTION, seed=first, sampling=Sampling.greedy())
    assert (greedy.metrics.attempts, greedy.metrics.too_short) == (1, True)


def test_of_pieces_that_went_wrong_in_two_ways_each_is_counted_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pieces = [
        Metrics(24000, ended=True, too_short=True),
        Metrics(24000, ended=True),
        Metrics(24000, ended=False, cut="patience"),
    ]
    assert report("a.wav", pieces, 1) == 1
    told = capsys.readouterr().err
    assert "warning: 1 of 3 pieces of the text ended before its text can" in told
    assert "warning: 1 of 3 pieces of the text was cut, for it did not end" in told


def test_what_stays_too_short_is_told_by_the_exit_code(
    tts: Synthesizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    says_the_end(monkeypatch, {3, 4, 5}, 2)
    asked = ["speak", f"{QUESTION} Tell me.", "--text-layout", "streamed", "--seed", "3", "-o"]
    done = CliRunner().invoke(commands, [*asked, str(tmp_path / "a.pcm")])
    assert done.exit_code == 1
    assert "warning: 2 of 2 pieces of the text ended before its text can have" in done.stderr
    assert (tmp_path / "a.pcm").stat().st_size > 0
    done = CliRunner().invoke(commands, [*asked, "-"])
    assert (done.exit_code, done.stderr.count("warning: ")) == (1, 1)
    done = CliRunner().invoke(commands, [*asked, "-", "--max-seconds", "0.24"])
    assert done.exit_code == 1, "the first piece is not all there, whatever was asked of the rest"
    assert done.stderr.count("warning: ") == 2
