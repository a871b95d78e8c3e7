"""What no cut may lose, and that the bits of a text change nothing."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hard_texts import (
    LONG,
    NO_LIMIT,
    SECONDS,
    SENTENCES,
    TEXTS,
    black,
    cut,
    in_pieces,
    joined,
    seen,
    spoken,
    texts,
)
from marked_sentences import SENTENCES as MARKED
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.pace import usual_seconds
from qwen3_tts_edge.text.blanks import one_line
from qwen3_tts_edge.text.lines import PARAGRAPH_PAUSE, SENTENCE_PAUSE
from qwen3_tts_edge.text.pieces import Piece, split
from qwen3_tts_edge.text.sentences import Splitter, Whole, check_text

ARTICLE = "\n\n".join(
    " ".join(each.replace(" | ", " ").replace("|", "") for each in cases)
    for cases in list(MARKED.values()) * 3
)


def without_silent_lines(text: str) -> str:
    return one_line("\n".join(filter(spoken, seen(text).split("\n"))))


@given(TEXTS, SECONDS, SENTENCES)
def test_nothing_is_lost_doubled_or_moved(text: str, seconds: float, sentences: int | None) -> None:
    pieces = cut(text, seconds, sentences)
    all_of_it, at = black(one_line(text)), 0
    for piece in texts(pieces):
        begins = all_of_it.index(black(piece), at)
        assert not spoken(all_of_it[at:begins])
        at = begins + len(black(piece))
    assert not spoken(all_of_it[at:])
    assert all(spoken(each.text) and each.text == each.text.strip() for each in pieces)
    if not pieces:
        with pytest.raises(InputError, match="the text "):
            check_text(text)
    else:
        check_text(text)
    assert all(each.pause == 0.0 for each in pieces[-1:])


@given(TEXTS, SENTENCES)
def test_where_there_is_room_only_silent_lines_are_left_out(
    text: str, sentences: int | None
) -> None:
    pieces = cut(text, NO_LIMIT, sentences)
    assert black("".join(texts(pieces))) == black(without_silent_lines(text))


@given(TEXTS, SECONDS, SENTENCES)
def test_every_piece_fits_or_is_one_character(
    text: str, seconds: float, sentences: int | None
) -> None:
    for piece in texts(cut(text, seconds, sentences)):
        if usual_seconds(piece) > seconds:
            assert texts(cut(piece, 0.01)) == [piece]
        if sentences and seconds == NO_LIMIT:
            assert len(cut(piece, NO_LIMIT, 1)) <= sentences


@given(TEXTS, SECONDS)
def test_a_piece_is_not_split_again(text: str, seconds: float) -> None:
    for piece in texts(cut(text, seconds)):
        assert cut(piece, seconds) == [Piece(piece, 0.0)]
    for sentence in texts(cut(text, NO_LIMIT, 1)):
        assert cut(sentence, NO_LIMIT, 1) == [Piece(sentence, 0.0)]


@settings(max_examples=500)
@given(TEXTS, SECONDS, SENTENCES, st.data())
def test_bit_by_bit_the_pieces_are_those_of_the_whole(
    text: str, seconds: float, sentences: int | None, data: st.DataObject
) -> None:
    whole = [*(splitter := Splitter(seconds, sentences)).feed(text), *splitter.finish()]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=9)))
    bits = [text[at:to] for at, to in pairwise([0, *cuts, len(text)])]
    parts = in_pieces(Splitter(seconds, sentences), bits)
    assert joined(parts) == joined(whole)
    assert spoken("".join(part.text for part in parts)) == spoken(text)
    for size in (1, 2, 5):
        bits = [text[at : at + size] for at in range(0, len(text), size)]
        assert joined(in_pieces(Splitter(seconds, sentences), bits)) == joined(whole)


@pytest.mark.parametrize(
    "text",
    [
        "…(\u1160é\n2. \t。—“a…",
        "\n\u3000**x**\n１",
        "a\r\n\r\n b\r",
        " \n\u2029\ufe0f1\ufe0f\u20e3",
    ],
)
def test_nor_do_blanks_and_what_nobody_sees_change_them(text: str) -> None:
    for seconds in (1.0, NO_LIMIT):
        whole = in_pieces(Splitter(seconds), [text])
        assert joined(in_pieces(Splitter(seconds), list(text))) == joined(whole)


@given(LONG, SECONDS, SENTENCES, st.integers(1, 30))
def test_and_of_a_sentence_whose_beginning_is_forgotten(
    text: str, seconds: float, sentences: int | None, size: int
) -> None:
    whole = [*(splitter := Splitter(seconds, sentences)).feed(text), *splitter.finish()]
    bits = [text[at : at + size] for at in range(0, len(text), size)]
    assert joined(in_pieces(Splitter(seconds, sentences), bits)) == joined(whole)


def test_a_text_is_cut_when_its_pieces_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = []
    feed = Splitter.feed
    monkeypatch.setattr(Splitter, "feed", lambda self, text: fed.append(text) or feed(self, text))
    text = "The kettle is on. " * 5000
    pieces = split(Splitter(8.0, 1), text)
    assert next(pieces) == Piece("The kettle is on.", SENTENCE_PAUSE)
    assert sum(map(len, fed)) < 2000
    assert 1 + sum(1 for _ in pieces) == 5000
    assert "".join(fed) == text


def test_a_sentence_whose_beginning_is_forgotten_is_whole() -> None:
    for part in ("on and on ", "天气", "3.5 and Dr. No, ", "NASA "):
        parts = in_pieces(Splitter(NO_LIMIT, 1), [*"Well, ", *[part] * 500, "so. Next"])
        assert texts(joined(parts)) == [f"Well, {part * 500}so. ", "Next"]


def test_a_text_taken_whole_is_one_piece_as_it_stands() -> None:
    text = "One.  Two.\n\nThree."
    assert list(split(Whole(), text)) == [Piece(text, 0.0)]
    assert "".join(part.text for bit in text for part in Whole().feed(bit)) == text


@pytest.mark.parametrize("seconds", [5.0, 30.0])
@pytest.mark.parametrize("sentences", [None, 1])
def test_all_of_an_article_is_spoken(seconds: float, sentences: int | None) -> None:
    assert len(ARTICLE) > 10_000
    pieces = cut(ARTICLE, seconds, sentences)
    assert black("".join(texts(pieces))) == black(ARTICLE)
    assert max(usual_seconds(each) for each in texts(pieces)) <= seconds
    assert sum(each.pause == PARAGRAPH_PAUSE for each in pieces) == ARTICLE.count("\n\n")
