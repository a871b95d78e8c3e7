"""Whether a sentence goes on after a full stop and a blank: abbreviations, initials, ordinals.

Each rule knows one kind of full stop and says nothing of others. They are asked in the order of
`_RULES`, and the first that knows decides.
"""

import re
from collections.abc import Callable
from typing import TypeAlias

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
from qwen3_tts_edge.text.around_stop import Stop

Rule: TypeAlias = Callable[[Stop], bool | None]
"""Tells whether the sentence goes on; None where the stop is not of the rule's kind."""

_MORE_OF_DATE = re.compile(r"\d{1,2}\.|\d{4}\b")
_DATE = re.compile(r"\d\. \d{1,2}$")
_WHOLE_DATE = re.compile(r"(?<![\w.])\d{4}\.\d{1,2}\.\d{1,2}$")


def _behind_number(stop: Stop) -> bool | None:
    """The label of an item, "1. ", a part of a date, or a German ordinal, "am 3. Oktober"."""
    if not stop.number:
        return None
    short, earlier = len(stop.number) <= 3, stop.earlier.rstrip()
    if (short and stop.alone) or _MORE_OF_DATE.match(stop.after):
        return True
    if _DATE.search(stop.before) and not stop.after[:1].isupper():
        return True
    german = earlier.rpartition(" ")[2] in ORDINALS and stop.next_word[:1].isupper()
    item = stop.listed or earlier.endswith((";", "；", ":", "："))
    counts = (german or item) and stop.next_word not in BEGINNINGS
    return short and (stop.next_word in MONTHS or counts)


def _between_amounts(stop: Stop) -> bool | None:
    """A unit that another number follows: "10 ч. 30 мин."."""
    return True if stop.counted and stop.after[:1].isdigit() else None


def _behind_no_word(stop: Stop) -> bool | None:
    """A sign, or a date without blanks, "2024.5.1. ", which goes on unless a capital follows."""
    if stop.words:
        return None
    return bool(_WHOLE_DATE.search(stop.before)) and not stop.after[:1].isupper()


_SHORTENED = BEFORE_ANYTHING | BEFORE_NUMBERS | BEFORE_NAMES | BEFORE_SMALL


def _before_small_letter(stop: Stop) -> bool | None:
    """Any abbreviation. Other stops end a sentence, of a text that has no capitals."""
    if not stop.after[:1].islower():
        return None
    return stop.initial or not stop.names.isdisjoint(_SHORTENED)


_NUMERAL = re.compile(r"[+(§#№]? ?\d|[IVXLC]{2,}\b|[B-DF-HJ-NP-XZ]\b")
"""A number, or a letter that is no word: "art. L 121"."""
_REFERRED = re.compile(r"\d[\d.:–-]*[,;]")
_MOST_OF_SHORT = 5
"""Letters. Of words that are no longer, one with such a number behind it is short: "párr. 4, "."""


def _before_number(stop: Stop) -> bool | None:
    """What is counted or found by a number: "No. 5", "Hauptstr. 7", "párr. 4, "."""
    numbered = not stop.names.isdisjoint(BEFORE_NUMBERS) or stop.word.endswith("str")
    if numbered and _NUMERAL.match(stop.after):
        return True
    return True if len(stop.word) <= _MOST_OF_SHORT and _REFERRED.match(stop.after) else None


_AMOUNT = re.compile(r"\d\W*(?:\w+\.? )?$")
"""A number, and perhaps a word between it and what it counts: "5 тысяч "."""


def _like_any_word(stop: Stop) -> bool | None:
    """An end like any other, "etc.", but for capitals that say more of an amount: "3 p.m. EST".

    Where all is in capitals, "AT 3 P.M. THE DOOR", most of them do not.
    """
    if stop.names.isdisjoint(BEFORE_SMALL):
        return None
    if stop.names.isdisjoint(OF_AMOUNTS) or not _AMOUNT.search(stop.earlier):
        return False
    more = len(stop.following) > 1 and stop.following.isupper()
    begins = stop.word.isupper() and stop.following.capitalize() in BEGINNINGS
    return more and not begins


def _before_anything(stop: Stop) -> bool | None:
    """A title, or what introduces an example: "Dr. Smith", "e.g. Apples"."""
    return None if stop.names.isdisjoint(BEFORE_ANYTHING) else True


_LABEL = re.compile(rf"(?=.)X{{0,3}}(?:IX|IV|V?I{{0,3}})|[{SYLLABLES}]", re.IGNORECASE)


def _at_the_front(stop: Stop) -> bool | None:
    """The label of an item or of a note, by itself: "II. Methods", "P.S. I love you."."""
    if not stop.alone:
        return None
    if not stop.names.isdisjoint(AT_THE_FRONT):
        return True
    label = stop.initial or bool(_LABEL.fullmatch(stop.word))
    return True if label and stop.words == stop.word else None


_CONSONANTS = re.compile("[b-df-hj-np-tv-xzçñßбвгджзйклмнпрстфхцчшщ]{2,}", re.IGNORECASE)
"""A word without a vowel is short for another, "Bldg", "мкр", or an exclamation: "Hmm."."""


def _before_name(stop: Stop) -> bool:
    """An initial, or what a name may follow: "J. Fox", "St. James", "Bldg. Seven"."""
    exclaimed = stop.alone or stop.counted or stop.word.isupper()
    short = bool(_CONSONANTS.fullmatch(stop.word)) and not exclaimed
    named = stop.initial or short or not stop.names.isdisjoint(BEFORE_NAMES)
    return named and stop.following not in BEGINNINGS


_RULES: tuple[Rule, ...] = (
    _behind_number,
    _between_amounts,
    _behind_no_word,
    _before_small_letter,
    _before_number,
    _like_any_word,
    _before_anything,
    _at_the_front,
    _before_name,
)


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
    stop = Stop(before, after, opens, listed)
    return next(told for rule in _RULES if (told := rule(stop)) is not None)
