"""Whether a sentence goes on after a full stop and a blank: abbreviations, initials, ordinals."""

import re

from qwen3_tts_edge.speech.abbreviations import (
    BEFORE_ANYTHING,
    BEFORE_NAMES,
    BEFORE_NUMBERS,
    BEFORE_SMALL,
    BEGINNINGS,
    MONTHS,
    ORDINALS,
)

_SHORTENED = BEFORE_ANYTHING | BEFORE_NUMBERS | BEFORE_NAMES | BEFORE_SMALL
_WORDS = re.compile(r"(?:\b[^\W\d_]{1,3}\.[ -]{0,2})*\b[^\W\d_]+(?:-[^\W\d_]+)*$")
"""The word before the stop, with those of three letters or fewer and a stop before it: "z. B"."""
_INITIALS = re.compile(r"[^\W\d_]{1,3}(?:\.-?[^\W\d_]{1,3})+|[a-z]")
_NEXT = re.compile(r"(?![^\W_]\.)[^\W_]+")  # "A. " is an initial, not the article
_NUMBER = re.compile(r"(?<![\w.,])\d{1,4}$")
_NUMERAL = re.compile(r"\d|[IVXLC]{2,}\b|[VX]\b")
_MORE_OF_DATE = re.compile(r"\d{1,2}\.|\d{4}\b")
_DATE = re.compile(r"\d\. \d{1,2}$")


def goes_on(before: str, after: str, opens: int) -> bool:
    """Tell whether a full stop is not the end of its sentence.

    Args:
        before: What is before the stop, of the same sentence; its last few words are enough.
        after: What is after it, from the first letter, digit or sign.
        opens: Where in `before` the sentence has its first letter; below 0 if that is not in it.

    Returns:
        False where a new sentence begins.
    """
    next_word = _NEXT.match(after)
    following = next_word.group() if next_word else ""
    if number := _NUMBER.search(before):
        return _number_goes_on(before, number.start(), after, following, opens)
    found = _WORDS.search(before)
    if not found:
        return False
    parts = found.group().replace(" ", "").split(".")
    word, initials = parts[-1], ".".join(parts)
    names = {".".join(parts[at:]) for at in range(len(parts))}
    initial = bool(_INITIALS.fullmatch(initials)) or (len(word) == 1 and word.isupper())
    if after[:1].islower():
        return initial or bool(names & _SHORTENED)
    if names & BEFORE_SMALL:
        return False
    if names & BEFORE_ANYTHING or (initial and initials == word and found.start() == opens):
        return True
    if (names & BEFORE_NUMBERS or word.endswith("str")) and _NUMERAL.match(after):
        return True
    return (initial or bool(names & BEFORE_NAMES)) and following not in BEGINNINGS


def _number_goes_on(before: str, start: int, after: str, following: str, opens: int) -> bool:
    """The same after a number: the label of a list, a part of a date, a German ordinal."""
    short = len(before) - start <= 3
    if (short and start == opens) or _MORE_OF_DATE.match(after):
        return True
    if _DATE.search(before) and not after[:1].isupper():
        return True
    german = before[:start].rstrip().rpartition(" ")[2] in ORDINALS and following[:1].isupper()
    return short and (following in MONTHS or (german and following not in BEGINNINGS))
