"""Our prompts are the official ones, ids and rows, in every case; and what of them is kept."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oracle import BASE_CASES, CASES, Case
from oracle.answers import AskedOnce
from oracle.cases import LONG
from parity.spoken import request
from parity.tolerances import assert_close
from qwen3_tts_edge import InputError, Voice
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.speech.prompt import PromptBuilder

Judge = Callable[[Path], AskedOnce]


@pytest.fixture(scope="module")
def builder(tiny_bundle: Callable[..., Path]) -> Callable[[str, str], PromptBuilder]:
    @functools.cache
    def make(kind: str, predictor: str) -> PromptBuilder:
        return PromptBuilder(Bundle.open(tiny_bundle(kind, predictor)))

    return make


@pytest.mark.parametrize("case", [*CASES, *BASE_CASES], ids=str)
def test_ids_and_rows_are_the_official_ones(
    judge: Judge,
    tiny_checkpoint: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
    builder: Callable,
    case: Case,
) -> None:
    expected = judge(tiny_checkpoint(case.kind, case.predictor)).prompt(case)
    asked = request(case)
    tokenizer = Bundle.open(tiny_bundle(asked.kind, asked.predictor)).tokenizer
    assert tokenizer.role() == expected.input_ids[:3]
    assert tokenizer.text(case.text) == expected.input_ids[3:-5]
    instruct = getattr(asked.voice, "description", "") or asked.options["instruct"] or ""
    assert tokenizer.instruct(instruct) == (expected.instruct_ids or [])

    found = builder(asked.kind, asked.predictor).build(asked.text, asked.voice, **asked.options)
    assert_close("prompt.rows", found.rows, expected.rows, f"{case} rows")
    assert_close("prompt.rows", found.silence, expected.pad_row, f"{case} silence")
    assert found.rows.dtype == np.float32
    assert found.ended
    # Where no text is left for the frames, upstream has one text row, which we call silence.
    silent = case.non_streaming or np.array_equal(expected.text_rows, expected.pad_row[None])
    text_rows = found.silence[None] if silent else np.stack(found.text_rows)
    assert_close("prompt.rows", text_rows, expected.text_rows, f"{case} text rows")
    assert len(found.text_rows) == (0 if silent else len(expected.text_rows))
    for frame in (0, len(found.text_rows), 1000):
        row = expected.text_rows[frame] if frame < len(expected.text_rows) else expected.pad_row
        assert_close("prompt.rows", found.text_row(frame), row[None], f"{case} frame {frame}")
    if case.reference is not None and case.reference.text is not None:
        assert found.reference is asked.voice.codes
    else:
        assert found.reference is None


@pytest.mark.parametrize("case", [*CASES, *BASE_CASES], ids=str)
def test_an_opening_does_not_depend_on_the_text(builder: Callable, case: Case) -> None:
    """Rows up to it are those of any other text, and at least one is left to read."""
    asked = request(case)
    prompts = builder(asked.kind, asked.predictor)
    first, *others = (
        prompts.build(text, asked.voice, **asked.options) for text in (case.text, "b", LONG)
    )
    assert 0 < first.opening < len(first.rows)
    for other in others:
        assert other.opening == first.opening
        assert np.array_equal(other.rows[: other.opening], first.rows[: first.opening])
    in_context = first.reference is not None
    if not case.non_streaming and not in_context:
        assert first.opening == len(first.rows) - 1  # a join is one row


@pytest.mark.parametrize("case", [c for c in (*CASES, *BASE_CASES) if not c.non_streaming], ids=str)
def test_a_prompt_that_grows_becomes_the_whole_one(builder: Callable, case: Case) -> None:
    """Whenever there are ids enough to begin, and however the others come."""
    asked = request(case)
    prompts = builder(asked.kind, asked.predictor)
    whole = prompts.build(asked.text, asked.voice, **asked.options)
    ids = prompts._tokenizer.text(asked.text)
    start = prompts.start(asked.voice, **asked.options)
    for first in {1, len(ids) // 2, len(ids)} - {0}:
        grown = prompts.prompt(start, ids[:first], ended=False)
        if grown is None:
            assert len(start.ids) + first < len(start.sound)
            continue
        assert not grown.ended
        assert grown.text_row(len(grown.text_rows)) is None
        for more in ids[first:]:
            prompts.extend(grown, [more], ended=False)
        prompts.extend(grown, [], ended=True)
        assert np.array_equal(grown.rows, whole.rows)
        assert np.array_equal(grown.text_rows, whole.text_rows)
        assert (grown.opening, grown.ended) == (whole.opening, True)


def test_the_comparison_would_see_one_wrong_row(
    judge: Judge, tiny_checkpoint: Callable[..., Path], builder: Callable
) -> None:
    """Rows of different ids differ by far more than the tolerance."""
    case = CASES[0]
    expected = judge(tiny_checkpoint(case.kind, case.predictor)).prompt(case)
    asked = request(case)
    build = builder(asked.kind, asked.predictor).build
    other = build(asked.text, Voice.speaker("vivian"), **asked.options)
    differ = np.abs(other.rows - expected.rows).max(axis=1) > 0.1
    assert np.flatnonzero(differ).tolist() == [7]
    with pytest.raises(AssertionError, match=r"prompt.rows .* at \(7, "):
        assert_close("prompt.rows", other.rows, expected.rows)


@pytest.mark.parametrize("instruct", ["Speak angrily.", " x "])
def test_the_small_custom_voice_refuses_an_instruction(builder: Callable, instruct: str) -> None:
    """Where the official package drops it in silence (its prompt without one is compared above)."""
    build = builder("custom_voice", "same").build
    with pytest.raises(InputError, match=r"takes no instruction; the 1\.7B CustomVoice does"):
        build("I can't believe it.", Voice.speaker("ryan"), instruct=instruct)
    plain = build("I can't believe it.", Voice.speaker("ryan"))
    for nothing in ("", "  \n"):
        blank = build("I can't believe it.", Voice.speaker("ryan"), instruct=nothing)
        assert np.array_equal(blank.rows, plain.rows)


def test_without_a_voice_the_first_speaker_speaks(builder: Callable) -> None:
    """The official package would leave the speaker out; nobody means that by saying nothing."""
    prompts = builder("custom_voice", "same")
    found = prompts.build("Hello.").rows
    assert np.array_equal(found, prompts.build("Hello.", Voice.speaker("aiden")).rows)
    with pytest.raises(InputError, match="the speaker's name is empty"):
        Voice.speaker("")


def test_the_layout_left_open_is_the_checkpoints_own(
    builder: Callable, exact_voice_bundle: Path
) -> None:
    tiny = builder("custom_voice", "same")
    upfront = tiny.build("Hello.", text_layout="upfront")
    assert np.array_equal(tiny.build("Hello.").rows, upfront.rows)
    bundle = Bundle.open(exact_voice_bundle)
    voice = PromptBuilder(bundle)
    whole = voice.build("Hello.", text_layout="upfront")
    assert np.array_equal(voice.build("Hello.").rows, whole.rows)
    streamed = voice.build("Hello.", text_layout="streamed")
    assert not np.array_equal(voice.build("Hello.").rows, streamed.rows)
    assert len(streamed.text_rows) == len(bundle.tokenizer.text("Hello."))
