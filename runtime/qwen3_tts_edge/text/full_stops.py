"""Whether a sentence goes on after a full stop and a blank: abbreviations, initials, ordinals."""

import re

from qwen3_tts_edge.text.abbreviations import (
    AT_THE_FRONT,
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
from qwen3_tts_edge.text.characters import EAST

_SHORTENED = BEFORE_ANYTHING | BEFORE_NUMBERS | BEFORE_NAMES | BEFORE_SMALL
_LETTER = rf"[^\W\d_{EAST}]"
_START = rf"(?:\b|(?<=[{EAST}]))"
_WORDS = re.compile(
    rf"(?:{_START}{_LETTER}{{1,3}}\.[ -]{{0,2}})*{_START}{_LETTER}+(?:-{_LETTER}+)*°?$"
    rf"|\b[{SYLLABLES}]$"
)
"""The word before the stop, with those of three letters or fewer and a stop before it: "z. B"."""
_CONSONANTS = re.compile("[b-df-hj-np-tv-xzçñßбвгджзйклмнпрстфхцчшщ]{2,}", re.IGNORECASE)
"""A word without a vowel is short for another, "Bldg", "мкр", or an exclamation: "Hmm."."""
_DOUBLED = re.compile(r"([^\W\d_IX])\1")
_UNIT = re.compile(r"(?:\d ?|[°/])[^\W\d_]$")
_SHORT = re.compile(r"(?:[^\W_]{1,2}|Chr)\.")
_SINGLE = re.compile(r"[^\W\d_]\.")
_LABEL = re.compile(rf"(?=.)X{{0,3}}(?:IX|IV|V?I{{0,3}})|[{SYLLABLES}]", re.IGNORECASE)
_NEXT = re.compile(r"(?![^\W_][a-zа-я]?\.)[^\W_]+")  # "A. " is an initial, no article
_NUMBER = re.compile(r"(?<![\w.,])\d{1,4}$")
_COUNTED = re.compile(rf"\d ?{_LETTER}{{1,3}}$")
_AMOUNT = re.compile(r"\d\W*(?:\w+\.? )?$")
"""A number, and perhaps a word between it and what it counts: "5 тысяч "."""
_NUMERAL = re.compile(r"[+(§#№]? ?\d|[IVXLC]{2,}\b|[B-DF-HJ-NP-XZ]\b")
"""A number, or a letter that is no word: "art. L 121"."""
_REFERRED = re.compile(r"\d[\d.:–-]*[,;]")
_MOST_OF_SHORT = 5
"""Letters. Of words that are no longer, one with such a number behind it is short: "párr. 4, "."""
_MORE_OF_DATE = re.compile(r"\d{1,2}\.|\d{4}\b")
_DATE = re.compile(r"\d\. \d{1,2}$")
_WHOLE_DATE = re.compile(r"(?<![\w.])\d{4}\.\d{1,2}\.\d{1,2}$")


def goes_on(before: str, after: str, opens: int, *, listed: bool) -> bool:
    """Tell whether a full stop is not the end of its sentence.

    Args:
        before: What is before the stop, of the same sentence; its last few words are enough.
        after: What is after it, from the first letter, digit or sign.
        opens: Where in `before` the sentence has its first letter; below 0 if that is not in it.
        listed: Whether that is a digit, as of the first item of a list in one line.

    Returns:
        False where a new sentence begins.
    """
    next_word = _NEXT.match(after)
    following = next_word.group() if next_word else ""
    if number := _NUMBER.search(before):
        start = number.start()
        return _number_goes_on(before, start, after, following, opens, listed=listed)
    counted = bool(_COUNTED.search(before))
    if counted and after[:1].isdigit():  # "10 ч. 30 мин."
        return True
    found = _WORDS.search(before)
    if not found:
        return bool(_WHOLE_DATE.search(before)) and not after[:1].isupper()
    words, earlier = found.group().split(" "), before[: found.start()]
    word = words[-1].rpartition(".")[2]
    names = {"".join(words[at:]) for at in range(len(words))} | {words[-1].rpartition("-")[2]}
    if len(words) == 1 and earlier.endswith((".", "@")):
        names = set()  # the end of an address: "example.ie" is no "i.e."
    if _is_shouted(word, earlier, following):
        names, following = {each.title() for each in names}, following.capitalize()
    initial = _initial(words[-1], before, after)
    if after[:1].islower():
        return initial or bool(names & _SHORTENED)
    if (names & BEFORE_NUMBERS or word.endswith("str")) and _NUMERAL.match(after):
        return True
    if len(word) <= _MOST_OF_SHORT and _REFERRED.match(after):
        return True
    if names & BEFORE_SMALL:
        counts = bool(names & OF_AMOUNTS and _AMOUNT.search(earlier))
        return counts and _of_amount(word, following)
    if names & BEFORE_ANYTHING:
        return True
    alone = found.start() == opens
    if alone and (names & AT_THE_FRONT or (found.group() == word and _is_label(word, initial))):
        return True
    short = not (alone or counted or word.isupper()) and bool(_CONSONANTS.fullmatch(word))
    return (initial or short or bool(names & BEFORE_NAMES)) and following not in BEGINNINGS


def _is_shouted(word: str, earlier: str, following: str) -> bool:
    """Whether a word in capitals stands beside another: "DR. NO", "HAS NO. 7"."""
    beside = following if following.isalpha() else earlier.rstrip().rpartition(" ")[2]
    return min(len(word), len(beside)) > 1 and word.isupper() and beside.isupper()


def _is_label(word: str, initial: bool) -> bool:
    return initial or bool(_LABEL.fullmatch(word))


def _of_amount(word: str, following: str) -> bool:
    """Whether capitals say more of an amount or a time: "10 руб. РФ", "3 p.m. EST".

    Where all is in capitals, "AT 3 P.M. THE DOOR", most of them do not.
    """
    shouted = word.isupper() and following.capitalize() in BEGINNINGS
    return len(following) > 1 and following.isupper() and not shouted


def _initial(word: str, before: str, after: str) -> bool:
    """Whether a word, with the stops in it, is of initials: "J", "U.S", "M.Sc", and no "x.com".

    Two of the same are the plural in Spanish: "EE. UU.".

    "т" is one where another letter follows, as in "т. е.": it is short for nothing by itself.
    """
    parts = [part.strip("-") for part in word.split(".")]
    if len(parts) > 1:
        return all(len(each) == 1 or (len(each) <= 3 and each[:1].isupper()) for each in parts)
    if _UNIT.search(before) and not _SHORT.match(after):  # "8 h."
        return False
    single = len(word) == 1 and (word.isupper() or word.isascii() or bool(_SINGLE.match(after)))
    return single or bool(_DOUBLED.fullmatch(word) and word.isupper())


def _number_goes_on(
    before: str, start: int, after: str, following: str, opens: int, *, listed: bool
) -> bool:
    """The same after a number: the label of a list, a part of a date, a German ordinal."""
    short, earlier = len(before) - start <= 3, before[:start].rstrip()
    if (short and start == opens) or _MORE_OF_DATE.match(after):
        return True
    if _DATE.search(before) and not after[:1].isupper():
        return True
    german = earlier.rpartition(" ")[2] in ORDINALS and following[:1].isupper()
    item = listed or earlier.endswith((";", "；", ":", "："))
    return short and (following in MONTHS or ((german or item) and following not in BEGINNINGS))
