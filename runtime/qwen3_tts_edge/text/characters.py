"""Where one character of a reader ends: a family of emoji is one, and a letter with its marks."""

import re
import unicodedata
from collections.abc import Iterator

EAST = "\u1100-\u11ff\u3005-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d"
"""Letters of Chinese, Japanese and Korean."""

_STICKS = re.compile("[\u200c\u200d\uff9e\uff9f\U0001f3fb-\U0001f3ff\u1160-\u11ff]")
"""Joiners, voicing marks of narrow kana, skin colours, vowels and finals of Korean letters."""

_MOST_MARKS = 30
"""Behind one letter: no script has more.

Source: Unicode Standard Annex 15, Stream-Safe Text Format.
"""


def character_ends(text: str) -> Iterator[int]:
    """Give the ends of what is one character to a reader, what closes behind it included."""
    begin = flags = 0
    for at in range(1, len(text)):
        last, this = text[at - 1], text[at]
        flags = flags + 1 if _is_flag(last) else 0
        kind = unicodedata.category(this)
        if at - begin > _MOST_MARKS or not (
            kind[0] == "M"
            or _STICKS.match(this)
            or last == "\u200d"
            or unicodedata.combining(last) == 9  # virama: the next consonant is joined
            or (flags % 2 and _is_flag(this))
            or kind in ("Pe", "Pf")
            or (last.isalnum() and kind == "Po")
        ):
            yield at
            begin = at
    yield len(text)


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
