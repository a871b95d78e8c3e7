"""How the talker's training writes what is spoken: figures, marks, and which word is which."""

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qwen3_tts_voice import numerals, talker_data  # noqa: E402
from qwen3_tts_voice.speech import NO_WORD  # noqa: E402
from qwen3_tts_voice.spellings import joined, respelled  # noqa: E402
from qwen3_tts_voice.text_ids import TextIds  # noqa: E402
from qwen3_tts_voice.written import Piece  # noqa: E402
from tiny import EDGE_VOICE  # noqa: E402


@pytest.mark.parametrize(
    "value", [0, 7, 13, 20, 42, 100, 305, 1969, 20_000, 1_250_000, 987_654_321]
)
def test_a_number_is_read_as_it_is_spelled(value: int) -> None:
    words = numerals.spelled(value).split()
    assert numerals.cardinal([*words, "apples"]) == (value, len(words))


@pytest.mark.parametrize(
    ("words", "value", "took"),
    [
        ("two hundred and five", 205, 4),
        ("one thousand and one", 1001, 4),
        ("nine fifteen", 9, 1),
        ("twenty and", 20, 1),
        ("and five", 0, 0),
        ("thousand", 0, 0),
    ],
)
def test_a_number_ends_where_english_ends_it(words: str, value: int, took: int) -> None:
    assert numerals.cardinal(words.split()) == (value, took)


@pytest.mark.parametrize("value", [1, 12, 20, 21, 30, 42, 99])
def test_an_ordinal_is_read_as_it_is_spelled(value: int) -> None:
    words = numerals.ordinal_spelled(value).split()
    assert numerals.ordinal(words) == (value, len(words))


def test_ordinals_have_their_endings() -> None:
    written = [numerals.suffixed(value) for value in (1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111)]
    assert " ".join(written) == "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 103rd 111th"


def spellings(spoken: str) -> set[str]:
    """Draw many spellings."""
    return {joined(respelled(spoken, draw), draw)[0] for draw in map(random.Random, range(5000))}


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("It is nine fifteen.", "It is 9:15."),
        ("Doors open at seven P M sharp.", "Doors open at 7 p.m. sharp."),
        ("It costs four dollars and fifty cents.", "It costs $4.50."),
        ("She was born on May third, nineteen eighty seven.", "She was born on May 3rd, 1987."),
        ("Flight eight sixteen is late.", "Flight 816 is late."),
        ("The population is one million two hundred thousand.", "The population is 1,200,000."),
        ("About seventy five percent of us.", "About 75% of us."),
        ("It fell to minus five degrees.", "It fell to -5 degrees."),
        ("It weighs three point five pounds.", "It weighs 3.5 pounds."),
        ("Mister Clark lives on Oak Street.", "Mr. Clark lives on Oak St."),
        ("Five kilometers to go.", "5 km to go."),
        ("The U S team won.", "The U.S. team won."),
        ("He finished second.", "He finished 2nd."),
        ("Come in.", "COME IN."),
        ("Come in.", "come in"),
        ("Come in.", '"Come in."'),
        ("Come in.", "Come  in."),
        ("Come in.", "Come\nin."),
        ("What's that?", "What’s that??"),
        ("Wait, are you sure?", "Wait... are you sure?"),
    ],
)
def test_what_is_spoken_is_written_as_people_write_it(spoken: str, written: str) -> None:
    assert {spoken, written} <= spellings(spoken)


@pytest.mark.parametrize("spoken", ["I have a plan.", "It is half past nine.", "One, two, three."])
def test_every_spoken_word_is_written_by_one_piece(spoken: str) -> None:
    for seed in range(200):
        pieces = respelled(spoken, random.Random(seed))
        assert sum(piece.words for piece in pieces) == len(spoken.split())
        assert all(piece.written.strip() == piece.written != "" for piece in pieces)


@pytest.mark.parametrize("spoken", ["nine five", "point five", "half past one o'clock"])
def test_what_is_no_figure_together_is_not_written_as_one(spoken: str) -> None:
    assert not any(":" in one and "9" in one for one in spellings(spoken))
    assert not any("$" in one or "%" in one for one in spellings(spoken))


def test_pieces_end_where_they_end_in_the_text() -> None:
    text, ends = joined([Piece("It's"), Piece("9:15", 2)], None)
    assert (text, ends) == ("It's 9:15", [4, 9])


def utterance(sentence: str, frames: int) -> talker_data.Utterance:
    """Speak a word a frame, and a silent frame at the end."""
    word = np.minimum(np.arange(frames), len(sentence.split()) - 1)
    word[-1] = NO_WORD
    codes = torch.zeros(frames, talker_data.BOOKS, dtype=torch.long)
    return talker_data.Utterance([sentence], codes, word, "heart")


def test_joined_utterances_go_on_counting_words() -> None:
    both = talker_data.runs(
        [utterance("one two three", 4), utterance("four five", 3)], 1.0, random.Random(1)
    )
    assert [len(run.sentences) for run in both] == [2]
    first, second = (len(s.split()) for s in both[0].sentences)
    expected = [*range(first), NO_WORD, *range(first, first + second), NO_WORD]
    assert both[0].word is not None
    assert both[0].word.tolist() == expected
    assert len(both[0].codes) == 7


def test_a_frame_looks_at_the_text_of_its_word_in_any_spelling() -> None:
    text_ids = TextIds(EDGE_VOICE)
    spoken = utterance("It is nine fifteen now.", 6)
    drawn = (random.Random(seed) for seed in range(400))
    written = next(
        text
        for draw in drawn
        if len((text := text_ids.of(spoken.sentences, draw)).pieces) == 5
        and text.pieces[2] == text.pieces[3]
    )
    assert written.pieces.tolist() == [0, 1, 2, 2, 3]
    look = torch.zeros(40, 40)
    assert spoken.word is not None
    talker_data._look(look, spoken.word, written, first=20, at=5)
    now = np.flatnonzero(written.piece_of == 3) + 5
    assert look[19 + 4].nonzero()[:, 0].tolist() == now.tolist()
    nine, fifteen = look[19 + 2], look[19 + 3]
    figures = np.flatnonzero(written.piece_of == 2) + 5
    seen = {*nine.nonzero()[:, 0].tolist(), *fifteen.nonzero()[:, 0].tolist()}
    assert seen == {*figures.tolist()}
    assert (nine * torch.arange(40)).sum() / nine.sum() < (
        fifteen * torch.arange(40)
    ).sum() / fifteen.sum()
