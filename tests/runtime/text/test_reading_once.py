"""The time to cut a text is in proportion to it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hard_texts import LONG_WORDS, NO_LIMIT, TROUBLE, cut, in_pieces, spoken
from qwen3_tts_edge.text.blanks import one_line
from qwen3_tts_edge.text.filling import Filling
from qwen3_tts_edge.text.lines import Lines
from qwen3_tts_edge.text.sentences import Splitter

_REPEATED = ["on and on ", "3.5 and Dr. No, ", "क\u200d", "—" * 99 + "a", " a.", '."', ',"', "[1]"]
_REPEATED += ["《", "e.g. The ", ". .", "." * 99 + "a ", "a" * 99 + ". ", "\n- a", "\n1. ", "\n-"]


def longest_read(part: str) -> int:
    """The most characters that a word is read with, in a text of one part again and again."""
    text = "a" + part * (600 // len(part) + 1)
    lengths: list[int] = []
    held: list[str] = []
    border, hold = Lines.border, Filling._hold
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Lines, "border", lambda self, raw: lengths.append(len(raw)) or border(self, raw)
        )
        patch.setattr(
            Filling, "_hold", lambda self, word, end: held.append(word) or hold(self, word, end)
        )
        for seconds in (8.0, NO_LIMIT):
            bits = [text[at : at + 5] for at in range(0, len(text), 5)]
            parts = in_pieces(Splitter(seconds, 1), bits)
            assert spoken("".join(each.text for each in parts)) == spoken(text)
    assert len(lengths) <= 2 * 3 * len(text)
    assert len(held) <= 2 * len(text)
    return max(lengths)


def test_what_came_is_not_read_again() -> None:
    longest = {part: longest_read(part) for part in [*TROUBLE, *LONG_WORDS, *_REPEATED]}
    assert {part: length for part, length in longest.items() if length > 250} == {}


@settings(max_examples=50)
@given(st.lists(st.sampled_from(TROUBLE), min_size=2, max_size=8).map("".join))
def test_nor_is_any_other(part: str) -> None:
    assert longest_read(part) <= 250


@pytest.mark.parametrize("part", [*" \n\r\u2029\u0301\u200d\ufe0f\u200b", "\n\n", "\n\u200b\n "])
def test_and_for_what_nobody_sees(part: str) -> None:
    assert one_line("a" + part * 200_000 + "b").rstrip("b").startswith("a")
    assert cut("a" + part * 200_000 + "\nb", NO_LIMIT)[-1].text.endswith("b")
