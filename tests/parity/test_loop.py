"""Rung 2: greedy codes of whole utterances equal the official package's, code for code."""

import functools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle import BASE_CASES, CASES, Case, official_scores
from oracle.answers import AskedOnce
from oracle.cases import LONG as LONG_TEXT
from parity.spoken import request
from parity.tolerances import LADDER, count
from qwen3_tts_edge import Sampling, Synthesizer, Voice
from qwen3_tts_edge.speech.prompt import Prompt
from qwen3_tts_export.modules.frame import RESERVED
from qwen3_tts_export.parity.forced_graph import ForcedGraph
from tiny import EDGE_VOICE

Judge = Callable[[Path], AskedOnce]
Speak = Callable[[Case, int], np.ndarray]
Check = Callable[[Case, int], None]

LONG, SHORT, WHOLE, GROWN = 100, 8, 200, 70
"""Frames. 100 are eight seconds; a wrong cache, mask or position shows within a few."""

# The first case of every mode, shape and layout always runs. The others run when asked: they differ
# in their prompts, and those `test_prompt` holds.
LEADING = {
    str(c) for c in {(c.kind, c.predictor, c.non_streaming): c for c in CASES[::-1]}.values()
}
LED = [case for case in CASES if str(case) in LEADING]
REST = [case for case in CASES if str(case) not in LEADING]
STREAMED = [case for case in (*CASES, *BASE_CASES) if not case.non_streaming]
GROWING = [
    next(case for case in STREAMED if case.text == text and case.kind == kind)
    for kind, text in (("custom_voice", LONG_TEXT), ("voice_design", "Hello."), ("base", LONG_TEXT))
]


@pytest.fixture(scope="module")
def synthesizer() -> Callable[[Path], Synthesizer]:
    @functools.cache
    def opened(folder: Path) -> Synthesizer:
        return Synthesizer.open(folder, threads=1, verify=False)

    return opened


@pytest.fixture(scope="module")
def bundle_of(tiny_bundle: Callable[..., Path]) -> Callable[[Case], Path]:
    def find(case: Case) -> Path:
        asked = request(case)
        return tiny_bundle(asked.kind, asked.predictor)

    return find


@pytest.fixture(scope="module")
def ours(bundle_of: Callable[[Case], Path], synthesizer: Callable) -> Speak:
    def speak(case: Case, frames: int) -> np.ndarray:
        asked, tts = request(case), synthesizer(bundle_of(case))
        return codes_of(tts, frames, asked.text, asked.voice, **asked.options)

    return speak


def codes_of(tts: Synthesizer, frames: int, *args: Any, **options: Any) -> np.ndarray:
    """Greedy codes of at most `frames` frames, int64 (n, 16)."""
    seconds = frames / tts.manifest.frames_per_second
    options |= {"sampling": Sampling.greedy(), "seed": 0, "verbatim": True}
    audio = tts.speak(*args, max_seconds=seconds, **options)
    assert len(audio.samples) == len(audio.codes) * tts.manifest.samples_per_frame
    assert audio.metrics.ended == (len(audio.codes) < frames)
    return audio.codes


def assert_equal_codes(
    oracle: AskedOnce, case: Case, folder: Path, found: np.ndarray, limit: int
) -> None:
    """Compare with official greedy codes under the same limit of frames.

    A failure tells the first code that differs, both frames and how near the official choice was
    to the next one. If that was a tie of float32 (`loop.tie`), the rest cannot be compared freely:
    it is compared teacher-forced, each choice given the official codes before it.
    """
    codes = oracle.codes(case, limit)
    same = min(len(found), len(codes))
    differ = np.argwhere(found[:same] != codes[:same])
    if not len(differ):
        assert len(found) == len(codes), f"{case}: {len(found)} frames, not {len(codes)}"
        count("loop: codes equal", codes.size)
        return
    frame, book = (int(i) for i in differ[0])
    scores = official_choice(oracle, case, codes, frame, book)
    first, second = np.argsort(scores)[::-1][:2]
    margin = scores[first] - scores[second]
    told = (
        f"{case}: frame {frame}, codebook {book}; reference {codes[frame].tolist()}, "
        f"ours {found[frame].tolist()}; official margin {margin:.3g} (code {first} at "
        f"{scores[first]:.7g}, code {second} at {scores[second]:.7g})"
    )
    if margin > LADDER["loop.tie"].largest * abs(scores[first]) or found[frame, book] != second:
        raise AssertionError(told)
    ties = compare_forced(oracle, case, folder, codes)
    count("loop: codes equal up to a tie", frame * codes.shape[1] + book)
    count("loop: codes equal teacher-forced", codes.size - len(ties))
    warnings.warn(f"a tie: {told}; then {len(ties)} forced ones", stacklevel=2)


def official_choice(
    oracle: AskedOnce, case: Case, codes: np.ndarray, frame: int, book: int
) -> np.ndarray:
    """The scores whose first maximum is the official `codes[frame, book]`."""
    talker, predictor = oracle.teacher_forced(case, codes[: frame + 1])
    if book:
        return predictor[frame, book - 1]
    return talker_scores(oracle, talker[frame], codes[:frame, 0])


def talker_scores(oracle: AskedOnce, logits: np.ndarray, seen: np.ndarray) -> np.ndarray:
    config = oracle.live.talker.config
    end = config.codec_eos_token_id
    last = range(config.vocab_size - RESERVED, config.vocab_size)
    return official_scores(
        logits,
        seen.tolist(),
        len(seen),
        do_sample=False,
        repetition_penalty=1.05,
        suppress=[code for code in last if code != end],
        eos=end,
    )


def compare_forced(
    oracle: AskedOnce, case: Case, folder: Path, codes: np.ndarray
) -> list[tuple[int, int]]:
    """Choose every code in our graph, given the official ones before it; return the ties."""
    found = oracle.prompt(case)
    prompt = Prompt(found.rows, [*found.text_rows], found.pad_row, opening=0)
    forced = ForcedGraph(folder).force(prompt, codes)
    talker, predictor = oracle.teacher_forced(case, codes)
    ties = []
    for frame, book in np.ndindex(codes.shape):
        if book:
            ours, theirs = forced.predictor[frame, book - 1], predictor[frame, book - 1]
        else:
            ours, theirs = (
                talker_scores(oracle, logits[frame], codes[:frame, 0])
                for logits in (forced.talker, talker)
            )
        choice, expected = int(ours.argmax()), codes[frame, book]
        if choice != expected:
            margin = theirs[expected] - theirs[choice]
            allowed = LADDER["loop.tie"].largest * abs(theirs[expected])
            assert 0 <= margin <= allowed, f"{case}, forced: frame {frame}, codebook {book}"
            ties.append((frame, book))
    return ties


@pytest.fixture(scope="module")
def assert_official(
    judge: Judge,
    tiny_checkpoint: Callable[..., Path],
    bundle_of: Callable[[Case], Path],
    ours: Speak,
) -> Check:
    """Return a function that speaks a case for some frames, here and there, and compares."""

    def check(case: Case, frames: int) -> None:
        oracle = judge(tiny_checkpoint(case.kind, case.predictor))
        assert_equal_codes(oracle, case, bundle_of(case), ours(case, frames), frames)

    return check


@pytest.mark.parametrize("case", LED, ids=str)
def test_a_hundred_frames_are_the_official_codes(assert_official: Check, case: Case) -> None:
    assert_official(case, LONG)


@pytest.mark.parametrize("case", GROWING, ids=str)
def test_a_text_that_comes_in_pieces_has_the_official_codes(
    judge: Judge,
    tiny_checkpoint: Callable[..., Path],
    bundle_of: Callable[[Case], Path],
    synthesizer: Callable,
    case: Case,
) -> None:
    """Spoken while it comes, and the codes are those of the text that was there from the start."""
    asked, folder = request(case), bundle_of(case)
    tts = synthesizer(folder)
    options = {**asked.options, "sampling": Sampling.greedy(), "seed": 0, "verbatim": True}

    def spoken(pieces: int) -> np.ndarray:
        come = []

        def text() -> Iterator[str]:
            for at in range(0, len(asked.text), pieces):
                yield asked.text[at : at + pieces]
                come.append(at)

        stream = tts.stream(text(), asked.voice, max_seconds=GROWN * 0.08, **options)
        found = [next(stream).codes]
        assert len(asked.text) < 100 or len(come) * pieces < len(asked.text) / 2
        return np.concatenate([*found, *(chunk.codes for chunk in stream)])

    by_letter, by_seven = spoken(1), spoken(7)
    assert np.array_equal(by_letter, by_seven)
    oracle = judge(tiny_checkpoint(case.kind, case.predictor))
    assert_equal_codes(oracle, case, folder, by_letter, GROWN)


@pytest.mark.slow
@pytest.mark.parametrize("case", REST, ids=str)
def test_a_hundred_frames_of_every_other_case_are_the_official_codes(
    assert_official: Check, case: Case
) -> None:
    assert_official(case, LONG)


def test_the_long_cases_cover_every_mode_shape_and_layout() -> None:
    assert len(LED) + len(REST) == len(CASES)
    assert {(case.kind, case.predictor, case.non_streaming) for case in LED} == {
        (kind, predictor, layout)
        for kind in ("custom_voice", "voice_design")
        for predictor in ("same", "narrow")
        for layout in (True, False)
    }


def test_a_difference_is_told_with_both_rows_and_the_margin(
    judge: Judge, tiny_checkpoint: Callable[..., Path], bundle_of: Callable[[Case], Path]
) -> None:
    case = LED[0]
    oracle = judge(tiny_checkpoint(case.kind, case.predictor))
    codes = oracle.codes(case, SHORT)
    for book in (0, 5):
        wrong = codes.copy()
        wrong[2, book] += 1
        with pytest.raises(AssertionError) as failure:
            assert_equal_codes(oracle, case, bundle_of(case), wrong, SHORT)
        told = str(failure.value)
        assert f"frame 2, codebook {book}; reference {codes[2].tolist()}, ours " in told
        assert f"(code {codes[2, book]} at " in told


def test_forced_choices_are_the_official_codes(
    judge: Judge, tiny_checkpoint: Callable[..., Path], bundle_of: Callable[[Case], Path]
) -> None:
    """What the comparison falls back on after a tie, tried where there is none."""
    case = LED[0]
    oracle = judge(tiny_checkpoint(case.kind, case.predictor))
    codes = oracle.codes(case, SHORT)
    assert compare_forced(oracle, case, bundle_of(case), codes) == []
    codes[3, 7] += 1
    with pytest.raises(AssertionError, match="forced: frame 3, codebook 7"):
        compare_forced(oracle, case, bundle_of(case), codes)


SENTENCES = [
    ("Set a timer for ten minutes.", False),
    ("The weather is nice today, and the train leaves at seven.", False),
    ("Turn off the lights.", True),
]


@pytest.mark.parametrize(("text", "upfront"), SENTENCES)
def test_the_bundled_voice_says_whole_sentences_with_the_official_codes(
    judge: Judge, synthesizer: Callable, exact_voice_bundle: Path, text: str, upfront: bool
) -> None:
    """Until the speech ends by itself."""
    case = Case("custom_voice", "same", text, "heart", "english", None, upfront)
    found = codes_of(
        synthesizer(exact_voice_bundle),
        WHOLE,
        text,
        Voice.speaker("heart"),
        language="english",
        text_layout="upfront" if upfront else "streamed",
    )
    assert 2 < len(found) < WHOLE  # it ended by itself
    assert_equal_codes(judge(EDGE_VOICE), case, exact_voice_bundle, found, WHOLE)
    count("loop: frames of whole sentences", len(found))


def test_an_utterance_leaves_nothing_behind_for_the_next(ours: Speak) -> None:
    """The KV cache is not cleared between utterances, longer or shorter; nothing old is read."""
    first, second = LED[0], LED[1]
    fresh = [ours(case, 12) for case in (first, second)]
    again = [ours(case, 12) for case in (second, first)]
    assert np.array_equal(fresh[0], again[1])
    assert np.array_equal(fresh[1], again[0])
