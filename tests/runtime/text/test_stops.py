"""Where sentences of ten languages end."""

from itertools import pairwise

import pytest
from hypothesis import given

from hard_texts import NO_LIMIT, TEXTS, cut, spoken, texts
from marked_sentences import SENTENCES as MARKED
from qwen3_tts_edge.text.blanks import one_line
from qwen3_tts_edge.text.stops import sentence_ends


@pytest.mark.parametrize("language", MARKED)
def test_a_sentence_ends_where_a_reader_ends_it(language: str) -> None:
    wrong = {}
    for case in MARKED[language]:
        expected = [each.strip() for each in case.split("|")]
        found = texts(cut(case.replace(" | ", " ").replace("|", ""), NO_LIMIT, 1))
        if found != expected:
            wrong[case] = found
    assert wrong == {}


def test_and_where_languages_are_mixed() -> None:
    text = "他说Hello. 然后走了。She said 你好。And left. Dr. 王来了！"
    assert texts(cut(text, NO_LIMIT, 1)) == [
        "他说Hello.",
        "然后走了。",
        "She said 你好。",
        "And left.",
        "Dr. 王来了！",
    ]


@given(TEXTS)
def test_a_sentence_says_something_where_its_paragraph_does(text: str) -> None:
    line = one_line(text)
    if spoken(line):
        ends = sentence_ends(line)
        assert all(spoken(line[at:to]) for at, to in pairwise([0, *ends]))
