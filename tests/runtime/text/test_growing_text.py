"""Text in pieces: whatever the cuts, its ids are those of the whole, and control tokens none."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen3_tts_edge.bundle.manifest import TOKENIZER
from qwen3_tts_edge.bundle.tokenizer import Tokenizer
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.text.growing_text import GrowingText

_MARKS = list("\u0301\u0323\u0327\u0345\u094d\u0915\u1160\u11a8\u200d\ufe0f\u3099\u0334")
_LETTERS = list("aAeEnNzß09天気は각가한\u1100\u1161ПкيÅ\u212bﬁ½²👩🏽🇩🇪😀𝔘\u2126")
_SIGNS = list(".!?,;:'\"-–…。，、()<>|_/\\@#")
_BLANKS = [*" \t\n\r\x0b\u00a0\u2003\u2028\u3000\x85", "  ", "\n\n", " \n ", "\r\n"]
_WORDS = ["'s", "'LL", "don't", "the", " the", "1234", "3.14", "<think>", "</think>", "<tool_call>"]
_CONTROL = ["<|im_end|>", "<|im_start|>", "<tts_pad>", "<|endoftext|>", "<tts_text_bos>"]
_HALVES = ["<", "<|", "<|im", "_end|>", "|>", "<tts", "_pad>", "<thi", "nk>"]
PLAIN = [*_MARKS, *_LETTERS, *_SIGNS, *_BLANKS, *_WORDS]
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(PLAIN), max_size=40).map("".join),
    st.lists(st.sampled_from([*PLAIN, *_HALVES, *_CONTROL]), max_size=20).map("".join),
)


@pytest.fixture(scope="module")
def tokenizer(voice_bundle: Path) -> Tokenizer:
    return Tokenizer.load(voice_bundle / TOKENIZER)


def pieces(text: str, sizes: list[int]) -> Iterator[str]:
    at = 0
    while at < len(text):
        size = sizes[at % len(sizes)]
        yield text[at : at + size]
        at += size


def grown(tokenizer: Tokenizer, bits: Iterator[str]) -> list[int] | str:
    """The ids, or why there are none."""
    growing, ids = GrowingText(tokenizer), []
    try:
        for bit in bits:
            ids += growing.feed(bit)
        return ids + growing.finish()
    except InputError as error:
        return error.found.split("contains")[0]


def whole(tokenizer: Tokenizer, text: str) -> list[int] | str:
    try:
        return tokenizer.text(text)
    except InputError as error:
        return error.found.split("contains")[0]


@settings(max_examples=500, deadline=None)
@given(TEXTS, st.lists(st.integers(1, 6), min_size=1, max_size=7))
def test_ids_of_a_text_in_pieces_are_those_of_the_whole(
    tokenizer: Tokenizer, text: str, sizes: list[int]
) -> None:
    assert grown(tokenizer, pieces(text, sizes)) == whole(tokenizer, text)


def test_blanks_at_the_end_that_belong_to_a_sign_are_none_of_the_text(tokenizer: Tokenizer) -> None:
    """A line feed behind a sign is of its word, and only the end says that it is not there."""
    text = "Well,\n\n \n "
    assert grown(tokenizer, iter(text)) == whole(tokenizer, text)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_one_by_one_and_decomposed_too(tokenizer: Tokenizer, text: str) -> None:
    apart = unicodedata.normalize("NFD", text)
    assert grown(tokenizer, iter(apart)) == whole(tokenizer, apart)


@pytest.mark.parametrize("token", _CONTROL)
def test_control_tokens_are_refused_however_they_come(tokenizer: Tokenizer, token: str) -> None:
    text = f"Say {token} now."
    for size in range(1, len(text) + 1):
        with pytest.raises(InputError, match=r"a control token of tokenizer\.json that cannot"):
            _grow(tokenizer, pieces(text, [size]))


def _grow(tokenizer: Tokenizer, bits: Iterator[str]) -> None:
    growing = GrowingText(tokenizer)
    for bit in bits:
        growing.feed(bit)
    growing.finish()


@pytest.mark.parametrize("text", ["a \ud83d\ude00", "abc \udcff"])
def test_what_is_no_unicode_is_refused(tokenizer: Tokenizer, text: str) -> None:
    with pytest.raises(InputError, match="the text is not valid Unicode"):
        _grow(tokenizer, iter(text))


def test_what_can_no_longer_change_is_given_at_once(tokenizer: Tokenizer) -> None:
    growing = GrowingText(tokenizer)
    text = "one two three four five six seven eight nine ten"
    counts = [len(growing.feed(f"{word} ")) for word in text.split()]
    assert sum(counts) >= len(tokenizer.text(text)) - 4
    assert max(counts) <= 3


@pytest.mark.parametrize("part", ["a", "天", "—", "\u0301", "<", " "])
def test_a_word_that_does_not_end_is_not_read_again_for_every_letter(
    part: str, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    settled = Tokenizer.settled
    monkeypatch.setattr(
        Tokenizer,
        "settled",
        lambda self, text, held: read.append(len(text)) or settled(self, text, held),
    )
    text = f"Well, {part * 3000}."
    assert grown(tokenizer, iter(text)) == whole(tokenizer, text)
    assert sum(read) < 70 * len(text)


def test_blanks_at_the_ends_are_nothing(tokenizer: Tokenizer) -> None:
    growing = GrowingText(tokenizer)
    assert growing.feed(" \n") == growing.feed("\t ") == growing.finish() == []
    growing = GrowingText(tokenizer)
    found = growing.feed("  Hello ") + growing.feed("there  \n") + growing.finish()
    assert found == tokenizer.text("Hello there")
