"""Whether a sentence goes on after a full stop and a blank: abbreviations, initials, ordinals."""

import re

from qwen3_tts_edge.text.abbreviations import (
    BEFORE_ANYTHING,
    BEFORE_NAMES,
    BEFORE_NUMBERS,
    BEFORE_SMALL,
    BEGINNINGS,
    MONTHS,
    OF_AMOUNTS,
    ORDINALS,
    SYLLABLES,
)

_SHORTENED = BEFORE_ANYTHING | BEFORE_NUMBERS | BEFORE_NAMES | BEFORE_SMALL
_WORDS = re.compile(r"(?:\b[^\W\d_]{1,3}\.[ -]{0,2})*\b[^\W\d_]+(?:-[^\W\d_]+)*$")
"""The word before the stop, with those of three letters or fewer and a stop before it: "z. B"."""
_UNIT = re.compile(r"\d ?[^\W\d_]$")
_SHORT = re.compile(r"(?:[^\W_]{1,2}|Chr)\.")
_SINGLE = re.compile(r"[^\W\d_]\.")
_LABEL = re.compile(rf"(?=.)X{{0,3}}(?:IX|IV|V?I{{0,3}})|[{SYLLABLES}]", re.IGNORECASE)
_NEXT = re.compile(r"(?![^\W_]\.)[^\W_]+")  # "A. " is an initial, not the article
_NUMBER = re.compile(r"(?<![\w.,])\d{1,4}$")
_COUNTED = re.compile(r"\d ?[^\W\d_]{1,3}$")
_AMOUNT = re.compile(r"\d\W*(?:\w+\.? )?$")
"""A number, and perhaps a word between it and what it counts: "5 тысяч "."""
_NUMERAL = re.compile(r"[+(§#№]? ?\d|[IVXLC]{2,}\b|[VX]\b")
_MORE_OF_DATE = re.compile(r"\d{1,2}\.|\d{4}\b")
_DATE = re.compile(r"\d\. \d{1,2}$")
_WHOLE_DATE = re.compile(r"(?<![\w.])\d{4}\.\d{1,2}\.\d{1,2}$")


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
    if after[:1].isdigit() and _COUNTED.search(before):  # "10 ч. 30 мин."
        return True
    found = _WORDS.search(before)
    if not found:
        return bool(_WHOLE_DATE.search(before)) and not after[:1].isupper()
    words = found.group().split(" ")
    word = words[-1].rpartition(".")[2]
    names = {"".join(words[at:]) for at in range(len(words))}
    if len(words) == 1 and before[: found.start()].endswith((".", "@")):
        names = set()  # the end of an address: "example.ie" is no "i.e."
    initial = _initial(words[-1], before, after)
    if after[:1].islower():
        return initial or bool(names & _SHORTENED)
    if (names & BEFORE_NUMBERS or word.endswith("str")) and _NUMERAL.match(after):
        return True
    if names & BEFORE_SMALL:
        counts = bool(names & OF_AMOUNTS and _AMOUNT.search(before[: found.start()]))
        return counts and _of_amount(word, following)
    if names & BEFORE_ANYTHING:
        return True
    if found.start() == opens and found.group() == word and (initial or _LABEL.fullmatch(word)):
        return True
    return (initial or bool(names & BEFORE_NAMES)) and following not in BEGINNINGS


def _of_amount(word: str, following: str) -> bool:
    """Whether capitals say more of an amount or a time: "10 руб. РФ", "3 p.m. EST".

    Where all is in capitals, "AT 3 P.M. THE DOOR", most of them do not.
    """
    shouted = word.isupper() and following.capitalize() in BEGINNINGS
    return len(following) > 1 and following.isupper() and not shouted


def _initial(word: str, before: str, after: str) -> bool:
    """Whether a word, with the stops in it, is of initials: "J", "U.S", "M.Sc", and no "x.com".

    "т" is one where another letter follows, as in "т. е.": it is short for nothing by itself.
    """
    parts = [part.strip("-") for part in word.split(".")]
    if len(parts) > 1:
        return all(len(each) == 1 or (len(each) <= 3 and each[:1].isupper()) for each in parts)
    if _UNIT.search(before) and not _SHORT.match(after):  # "8 h."
        return False
    return len(word) == 1 and (word.isupper() or word.isascii() or bool(_SINGLE.match(after)))


def _number_goes_on(before: str, start: int, after: str, following: str, opens: int) -> bool:
    """The same after a number: the label of a list, a part of a date, a German ordinal."""
    short = len(before) - start <= 3
    if (short and start == opens) or _MORE_OF_DATE.match(after):
        return True
    if _DATE.search(before) and not after[:1].isupper():
        return True
    german = before[:start].rstrip().rpartition(" ")[2] in ORDINALS and following[:1].isupper()
    return short and (following in MONTHS or (german and following not in BEGINNINGS))
