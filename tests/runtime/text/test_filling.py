"""How full pieces are, and what of them is given when."""

from hypothesis import given

from hard_texts import SECONDS, SENTENCES, TEXTS, cut, in_pieces, texts
from qwen3_tts_edge.text.filling import Part
from qwen3_tts_edge.text.lines import PARAGRAPH_PAUSE, SECTION_PAUSE, SENTENCE_PAUSE
from qwen3_tts_edge.text.pieces import Piece
from qwen3_tts_edge.text.sentences import Splitter


def test_signs_stay_with_words_as_long_as_a_piece_can_hold_them() -> None:
    assert texts(cut("so many words - without - a comma", 1.3)) == [
        "so many words -",
        "without -",
        "a comma",
    ]
    full = "word " * 13 + "words"
    assert texts(cut(f"{full} - and then we went", 5.0)) == [f"{full} -", "and then we went"]
    assert cut(f"Yes {'?' * 91} No.", 2.0) == [Piece("Yes", SENTENCE_PAUSE), Piece("No.", 0.0)]
    assert cut(f"Yes {'-' * 24} no. Well", 2.0, 1) == [
        Piece("Yes", 0.0),
        Piece("no.", SENTENCE_PAUSE),
        Piece("Well", 0.0),
    ]
    assert cut(f"Yes {'?' * 90}\n\nWell", 2.0, 1) == [
        Piece("Yes", PARAGRAPH_PAUSE),
        Piece("Well", 0.0),
    ]


def test_a_word_is_not_left_over() -> None:
    assert texts(cut("word " * 14, 4.0)) == ["word " * 10 + "word", "word word word"]
    assert texts(cut("This is one of them. So is this one. Yes.", 3.0)) == [
        "This is one of them.",
        "So is this one. Yes.",
    ]


@given(TEXTS, SECONDS, SENTENCES)
def test_every_part_of_a_piece_is_given_before_its_end_and_nothing_after(
    text: str, seconds: float, sentences: int | None
) -> None:
    parts = in_pieces(Splitter(seconds, sentences), list(text))
    assert all(part.pause == 0.0 for part in parts if part.text)
    assert all(part.text or part.ends or part.pause for part in parts)
    assert not parts or not parts[-1].text


def test_what_is_certain_is_given_at_once() -> None:
    splitter = Splitter(8.0, 1)
    first = splitter.feed(f"Good morning to all of you. Welcome, {'dear ' * 8}fri")
    assert "".join(part.text for part in first).startswith("Good morning to all of you. Welcome")
    assert [part.pause for part in first if part.ends] == [SENTENCE_PAUSE]
    assert splitter.feed("ends of ")[0].text
    assert splitter.feed("ours\n\n")[-2:] == [
        Part("", ends=True, pause=SENTENCE_PAUSE),
        Part("", pause=PARAGRAPH_PAUSE),
    ]
    assert splitter.feed("* * *\n") == [Part("", pause=SECTION_PAUSE)]
    assert splitter.finish() == []
