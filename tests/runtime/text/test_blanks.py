"""What of a text is seen, in one line."""

import pytest
from hypothesis import given

from hard_texts import NO_LIMIT, TEXTS, in_pieces, joined, seen, texts
from qwen3_tts_edge.text.blanks import one_line
from qwen3_tts_edge.text.sentences import Splitter


@pytest.mark.parametrize(
    ("page", "line"),
    [
        ("Good morning.  Your timer\r\nis\u00a0set\tfor\u3000twenty\u2009minutes.\n", None),
        ("\ufeffGood morning. Your timer is set for\u200b twen\u00adty min\x00u\u2060tes.", None),
        ("\u202eGood morning.\u202c Your \u200d\ufe0ftimer is set for twe\u200cnty minutes.", None),
        ("می\u200cخواهم क्\u200dष", "می\u200cخواهم क्\u200dष"),
        (
            "👩🏽\u200d👩🏽\u200d👧 ❤\ufe0f 1\ufe0f\u20e3",
            "👩🏽\u200d👩🏽\u200d👧 ❤\ufe0f 1\ufe0f\u20e3",
        ),
        (
            "❤\ufe0f\u200d🔥 \u200d\ufe0f🏳\ufe0f\ufe0e\u200d\u200d🌈",
            "❤\ufe0f\u200d🔥 🏳\ufe0f\u200d🌈",
        ),
        ("0\u200c\ufe0fa\ufe0f\u200d", "0\ufe0fa\ufe0f"),
        ("\u200b", ""),
        (" \ufeff\x00\u200d\ufe0f\u200c\u3164\u00a0\u2029 ", ""),
    ],
)
def test_what_nobody_sees_goes_and_what_joins_letters_stays(page: str, line: str | None) -> None:
    plain = "Good morning. Your timer is set for twenty minutes."
    assert one_line(page) == (plain if line is None else line)
    come = joined(in_pieces(Splitter(NO_LIMIT), [*page, "a"]))
    assert texts(come) == [one_line(f"{page}a")], "however it comes"


@given(TEXTS)
def test_a_line_is_one_line_already(text: str) -> None:
    line = one_line(text)
    assert one_line(line) == line
    assert one_line(seen(text)) == line


def test_of_signs_in_a_row_thirty_at_most_are_said() -> None:
    for bits in (["Tea ", "." * 300, " 5"], [*"Tea ", *["."] * 300, *" 5"]):
        assert texts(joined(in_pieces(Splitter(NO_LIMIT), bits))) == [f"Tea {'.' * 29} 5"]
