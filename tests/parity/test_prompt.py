"""Our prompts are the official ones: ids and rows, every CustomVoice and VoiceDesign case."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oracle import CASES, Case, Official
from parity.spoken import request
from parity.tolerances import assert_close
from qwen3_tts_edge import InputError, Voice
from qwen3_tts_edge.bundle.manifest import TOKENIZER, Manifest
from qwen3_tts_edge.bundle.tokenizer import Tokenizer
from qwen3_tts_edge.speech.prompt import PromptBuilder

Judge = Callable[[Path], Official]


@pytest.fixture(scope="module")
def builder(tiny_bundle: Callable[..., Path]) -> Callable[[str, str], PromptBuilder]:
    @functools.cache
    def make(kind: str, predictor: str) -> PromptBuilder:
        folder = tiny_bundle(kind, predictor)
        tokenizer = Tokenizer.load(folder / TOKENIZER)
        return PromptBuilder(folder, Manifest.load(folder), tokenizer)

    return make


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ids_and_rows_are_the_official_ones(
    judge: Judge,
    tiny_checkpoint: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
    builder: Callable,
    case: Case,
) -> None:
    expected = judge(tiny_checkpoint(case.kind, case.predictor)).prompt(case)
    asked = request(case)
    tokenizer = Tokenizer.load(tiny_bundle(asked.kind, asked.predictor) / TOKENIZER)
    assert tokenizer.role() == expected.input_ids[:3]
    assert tokenizer.text(case.text) == expected.input_ids[3:-5]
    instruct = asked.voice.description or asked.options["instruct"] or ""
    assert tokenizer.instruct(instruct) == (expected.instruct_ids or [])
    found = builder(asked.kind, asked.predictor).build(asked.text, asked.voice, **asked.options)
    assert_close("prompt.rows", found.rows, expected.rows, f"{case} rows")
    assert_close("prompt.rows", found.silence, expected.pad_row, f"{case} silence")
    assert found.rows.dtype == np.float32
    # Upstream's upfront layout has the one text row that we call silence; ours has none.
    text_rows = found.silence[None] if case.non_streaming else found.text_rows
    assert_close("prompt.rows", text_rows, expected.text_rows, f"{case} text rows")
    assert len(found.text_rows) == (0 if case.non_streaming else len(expected.text_rows))
    for frame in (0, len(found.text_rows), 1000):
        row = expected.text_rows[frame] if frame < len(expected.text_rows) else expected.pad_row
        assert_close("prompt.rows", found.text_row(frame), row[None], f"{case} frame {frame}")


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
    assert prompts.speakers[0] == "aiden"
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
    tokenizer = Tokenizer.load(exact_voice_bundle / TOKENIZER)
    voice = PromptBuilder(exact_voice_bundle, Manifest.load(exact_voice_bundle), tokenizer)
    streamed = voice.build("Hello.", text_layout="streamed")
    assert np.array_equal(voice.build("Hello.").rows, streamed.rows)
    assert len(streamed.text_rows) == len(tokenizer.text("Hello."))
