"""How long a text may take to say, in any language, told by its letters alone."""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

_SMALL_LETTER, _SYLLABLE, _OTHER = 80, 200, 300
"""Milliseconds in usual speech. A letter without capitals is a syllable of Chinese, Japanese or
Korean; a digit or a sign is a word; a capital may be spelled, and a comma is a short pause."""

_SLOW_LETTER, _SLOW_OTHER, _MORE = 0.25, 1.0, 5.0
"""Seconds. In usual speech a letter takes 0.07; a digit, a sign, a capital that is spelled out or a
Chinese character may be a word or a syllable, 0.3. Slow speech takes twice that."""

_LETTERS = re.compile(r"[^\W\d_]+")

_TOO_FAST = 5
"""Nobody speaks so many times as fast as usual."""


def usual_seconds(text: str, before: str = "") -> float:
    """Estimate how long a text takes in usual speech, in any language.

    Capitals are taken to be spelled, "NASA" for one, but where their word stands right behind
    another in capitals: "THIS IS A TEXT IN CAPITALS".

    Args:
        text: Blanks count for nothing, so a text takes as long as its parts.
        before: What stands right before it; the last word is enough.

    Returns:
        Seconds; rather a little more than it takes than less.
    """
    return (_milliseconds(text) - _saved(before + text, len(before))) / 1000


def patience(text: str) -> float:
    """Give the most seconds that a text may take: at least three times what it usually does.

    Args:
        text: In any language; blanks count for nothing.
    """
    letters = "".join(text.split())
    return _MORE + sum(_SLOW_LETTER if each.islower() else _SLOW_OTHER for each in letters)


def too_short(text: str, seconds: float) -> bool:
    """Tell whether so many seconds cannot have been all of a text.

    Args:
        text: In any language; only letters and digits count, and capitals are not taken to be
            spelled: a text may be all in capitals.
        seconds: Of speech that ended by itself.
    """
    return seconds < usual_seconds("".join(filter(str.isalnum, text)).lower()) / _TOO_FAST


def _milliseconds(text: str) -> int:
    return sum(map(_of_character, text))


def _saved(text: str, start: int) -> int:
    """How many milliseconds too many the capitals from `start` on count that nobody spells."""
    capitals = 0
    for first, word in pairwise(_LETTERS.finditer(text)):
        if word.end() > max(start, word.start() + 1) and text[first.end() : word.start()].isspace():
            shouted = first.group().isupper() and word.group().isupper()
            capitals += shouted and sum(
                map(str.isupper, text[max(start, word.start()) : word.end()])
            )
    return capitals * (_OTHER - _SMALL_LETTER)


@lru_cache(maxsize=4096)
def _of_character(character: str) -> int:
    kind = unicodedata.category(character)
    if kind[0] in "MZC":  # a mark on a letter, a blank, what is not seen
        return 0
    return {"Ll": _SMALL_LETTER, "Lo": _SYLLABLE}.get(kind, _OTHER)
