"""A line as it comes → its words, and what each of them is the end of.

A piece may end behind any word, but not as well behind every one: a number belongs to its unit, a
title to its name, an article to what follows.
"""

import re
import unicodedata
from collections.abc import Iterator
from enum import IntEnum
from itertools import pairwise

from qwen3_tts_edge.pace import usual_seconds
from qwen3_tts_edge.text.characters import EAST, character_ends
from qwen3_tts_edge.text.stops import CLOSERS, OPENS, sentence_ends, settled

_BLANK = re.compile(" ")
_DASH = r"(?:(?<=[^ —])—+|—+(?![—\w¿¡]))"
"""In Spanish what is said of a speaker begins with one: "—¿Vienes? —preguntó Juan."."""
_CLAUSE = re.compile(
    rf"(?:[,;:–][{CLOSERS}]*(?= )(?!(?<=\d[,–]| –) \d)|(?:[，：](?!\d)|[、；]|{_DASH}|…+|\.{{2,}}"
    rf"(?= ))(?:(?!{OPENS}|[\"']\w)[{CLOSERS}])*) *"
)
_TIED = re.compile(
    r"\W*\w.*\. .*"  # Dr. Smith: no sentence ends here
    r"|.*\d .*|[^\w,;:…—]+ \d.*|.*\d[,–-] \d.*"  # 5 km, § 3
    r"|[«“„‘‹(\[{¿¡]+ .*|.* [^\w¿¡«“„‘‹(\[{]+"  # signs that stand alone
)
_LEANS = re.compile(rf"\W*[^\W\d_{EAST}]{{1,3}} .*|.*[^\W_] \d.*")
"""An article, a preposition; what is counted, "page 5"."""
_MAGNITUDE = re.compile(
    r"(?:(?:m|b|tr|quadr)il(?:l?i[aoõ]|l[oó]n|h[aoãõ])\w*|mil(?:a|le)?|millard\w*|hundreds?|thousands?|"
    r"hundert|tausend|[mb]n|mrd|mio|mld|mds|(?:ми|би|три)лли\w+|тысяч\w*|тыс|млн|млрд|трлн|"
    r"[\d.,]*[천백만억조万萬亿億兆]+)\.?",
    re.IGNORECASE,
)
"""Between a number and what is counted: "1.5 million km", "30 mil euros", "3 millones de euros"."""
_LONGEST = 12
"""Characters; of what is longer without a blank, Chinese for one, so many are a word."""
_LONGEST_SPELLED = 40
"""German has words that are longer, of which a piece may have to end inside."""

_SPELLED = rf"(?:(?![{EAST}])[^\W_]|[ァ-ヺー]|[-_.,:;'’&?=%+#~/@])"
_WHOLE = re.compile(rf"{_SPELLED}(?:{_SPELLED}| )|\d[{EAST}]")
"""What is not cut: words of letters, addresses, a number and what it counts."""

_SECONDS_PER_BYTE = 0.02
"""Of UTF-8, in usual speech at least: marks that are piled on a letter take no time, and have text
ids, of which an utterance holds so many. No letter that is spoken has so many bytes."""


class End(IntEnum):
    """What a word is the end of; the greater, the better may a piece end with it."""

    CHARACTER = 0
    TIED = 1
    LEANING = 2
    WORD = 3
    CLAUSE = 4
    SENTENCE = 5


def seconds(word: str, before: str = "") -> float:
    """Estimate what a word takes of a piece, behind what stands before it there."""
    return max(
        usual_seconds(word, before), _SECONDS_PER_BYTE * len(word.encode("utf-8", "replace"))
    )


def words(line: str, given: int, most_seconds: float, *, whole: bool) -> Iterator[tuple[int, End]]:
    """Give where the words of a line end, as far as that is certain, and what they are the ends of.

    Args:
        line: As far as it is known.
        given: So much of it was given before.
        most_seconds: No word takes longer, but for a single character.
        whole: Whether no more of it will come.
    """
    certain = len(line) if whole else settled(line)
    ends = _ends(line, given)
    last = certain if whole else min(certain, len(line) - 1)
    at = given
    for end in sorted(each for each in ends if given < each <= last):
        yield from _cuts(line, at, end, most_seconds)
        yield end, ends[end]
        at = end
    if not whole:  # what is left is a word, wherever it will end
        yield from _cuts(line, at, certain, most_seconds)


def _ends(line: str, given: int) -> dict[int, End]:
    """Where words, clauses and sentences end, the blanks behind them included."""
    found = {each.end(): _end_of_word(line, each) for each in _BLANK.finditer(line, given)}
    found |= dict.fromkeys((each.end() for each in _CLAUSE.finditer(line)), End.CLAUSE)
    for end in sentence_ends(line, given):
        found[end + line[end:].startswith(" ")] = End.SENTENCE
    return found


def _end_of_word(line: str, blank: re.Match[str]) -> End:
    """Tell whether the word before a blank belongs to the one behind it."""
    end, following = blank.start(), line[blank.end() :].partition(" ")[0]
    start = line.rfind(" ", 0, end) + 1
    word = magnitude = line[start:end]
    if word in ("de", "di"):
        last = max(0, start - 1)
        magnitude = line[line.rfind(" ", 0, last) + 1 : last]
    both = f"{word} {following}"
    capitals = word[:1].isupper() and (following[:1].isupper() or following[:1].isdigit())
    name = capitals and not (word.isupper() and following.isupper())  # "Smith", "May 5"
    if name or _TIED.fullmatch(both) or _MAGNITUDE.fullmatch(magnitude):
        return End.TIED
    return End.LEANING if _LEANS.fullmatch(both) else End.WORD


def _cuts(line: str, begin: int, end: int, most_seconds: float) -> Iterator[tuple[int, End]]:
    """Give where a long word is cut; all of that is the same when the word goes on."""
    word = line[begin:end]
    if len(word) <= _LONGEST and seconds(word) <= most_seconds:
        return
    start = 0
    for at, after in pairwise(divisions(word, most_seconds)):
        part = word[start:after].rstrip()
        if len(part) > _LONGEST or seconds(part) > most_seconds:
            inside = _WHOLE.match(word, at - 1) or word[at - 1 : at + 1].isalnum()
            yield begin + at, End.CHARACTER if inside else End.LEANING
            start = at


def divisions(word: str, most_seconds: float) -> Iterator[int]:
    """Give where a long word may be cut: behind characters, but not inside a number or a name."""
    start = 0
    for end, after in pairwise(character_ends(word)):
        part, last = word[start:after].rstrip(), word[end - 1]
        opens = unicodedata.category(last) in ("Ps", "Pi")
        if (
            not (opens or _WHOLE.match(word, end - 1))
            or last in "/?&=-"
            or len(part) > _LONGEST_SPELLED
            or seconds(part) > most_seconds
        ):
            yield end
            start = end
    yield len(word)
