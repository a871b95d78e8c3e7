"""A text of any length → pieces that one utterance each can hold, and the pauses between them.

Cut at the ends of sentences; what does not fit then, at clauses, then between words, then between
characters. Nothing is lost, said twice or moved.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from qwen3_tts_edge.speech.blanks import paragraphs
from qwen3_tts_edge.speech.stops import CLOSERS, sentence_ends

SENTENCE_PAUSE, PARAGRAPH_PAUSE = 0.25, 0.6
"""Seconds of silence, beside what each utterance has at its ends."""

_SMALL_LETTER, _SYLLABLE, _OTHER = 80, 200, 300
"""Milliseconds in usual speech. A letter without capitals is a syllable of Chinese, Japanese or
Korean; a digit or a sign is a word; a capital may be spelled, and a comma is a short pause."""

_CLAUSE = re.compile(rf"(?:[,;:–][{CLOSERS}]*(?= )|(?:[，：](?!\d)|[、；]|—+|…+)[{CLOSERS}]*) *")
_WORD = re.compile(r" +")
_STICKS = "\u200c\u200d\uff9e\uff9f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff" + "".join(
    map(chr, range(0x1160, 0x1200))
)
"""Joiners, voicing marks of narrow kana, skin colours, vowels and finals of Korean letters."""


@dataclass(frozen=True)
class Piece:
    """What one utterance says.

    Attributes:
        text: One line, not empty, without blanks at its ends.
        pause: Seconds of silence after it; 0 inside a sentence, and after the last.
    """

    text: str
    pause: float


def usual_seconds(text: str) -> float:
    """Estimate how long a text takes in usual speech, in any language.

    Args:
        text: Blanks count for nothing, so a text takes as long as its parts.

    Returns:
        Seconds; rather a little more than it takes than less.
    """
    return _milliseconds(text) / 1000


def split(text: str, most_seconds: float, most_sentences: int | None = None) -> list[Piece]:
    """Cut a text into pieces that an utterance can hold.

    Args:
        text: Any text; `blanks.paragraphs` says what is left of it.
        most_seconds: Of usual speech in one piece. One character that takes longer is a piece.
        most_sentences: In one piece; None for as many as there is time for.

    Returns:
        The pieces in order, [] where nothing is to be seen. No piece has parts of two paragraphs;
        a paragraph without a letter or digit ("* * *") is a piece too.
    """
    pieces: list[Piece] = []
    for paragraph in paragraphs(text):
        parts: list[str] = []
        ends = set()
        for sentence in _between(paragraph, sentence_ends(paragraph)):
            parts += _fitting(sentence, most_seconds)
            ends.add(len(parts))
        done = 0
        for group in _packed(parts, most_seconds, most_sentences):
            done += len(group)
            pause = SENTENCE_PAUSE if done in ends else 0.0
            pieces.append(Piece("".join(group).strip(), pause))
        pieces[-1] = replace(pieces[-1], pause=PARAGRAPH_PAUSE)
    if pieces:
        pieces[-1] = replace(pieces[-1], pause=0.0)
    return pieces


def _fitting(text: str, most_seconds: float, level: int = 0) -> list[str]:
    """Cut a text at the first level whose parts fit, and what does not fit at the next."""
    if level == len(_LEVELS) or usual_seconds(text) <= most_seconds:
        return [text]
    parts = [
        smaller
        for part in _between(text, _LEVELS[level](text))
        for smaller in _fitting(part, most_seconds, level + 1)
    ]
    return ["".join(group) for group in _packed(parts, most_seconds, None)]


def _packed(parts: list[str], most_seconds: float, most_parts: int | None) -> list[list[str]]:
    """Fill one group after the other; of the last two, make the longer as short as can be."""
    most = most_parts or len(parts)
    groups: list[list[str]] = []
    total = 0
    for part in parts:
        more = _milliseconds(part)
        if groups and (total + more) / 1000 <= most_seconds and len(groups[-1]) < most:
            groups[-1].append(part)
            total += more
        else:
            groups.append([part])
            total = more
    if len(groups) > 1:
        _even_out(groups[-2], groups[-1], most)
    return groups


def _even_out(longer: list[str], shorter: list[str], most: int) -> None:
    """Move parts from the end of one group to the front of the next: no word is left over alone."""
    left, right = (sum(map(_milliseconds, group)) for group in (longer, shorter))
    while len(longer) > 1 and len(shorter) < most:
        moved = _milliseconds(longer[-1])
        if right + moved >= left:
            return
        shorter.insert(0, longer.pop())
        left, right = left - moved, right + moved


def _between(text: str, ends: Iterable[int]) -> Iterator[str]:
    start = 0
    for end in ends:
        if end > start:
            yield text[start:end]
            start = end


def _milliseconds(text: str) -> int:
    return sum(map(_of_character, text))


@lru_cache(maxsize=4096)
def _of_character(character: str) -> int:
    kind = unicodedata.category(character)
    if kind[0] in "MZC":  # a mark on a letter, a blank, what is not seen
        return 0
    return {"Ll": _SMALL_LETTER, "Lo": _SYLLABLE}.get(kind, _OTHER)


def _clause_ends(text: str) -> list[int]:
    return [*(found.end() for found in _CLAUSE.finditer(text)), len(text)]


def _word_ends(text: str) -> list[int]:
    return [*(found.end() for found in _WORD.finditer(text)), len(text)]


def _character_ends(text: str) -> Iterator[int]:
    """After what is one character to a reader, the sign behind a letter included."""
    flags = 0
    for at in range(1, len(text)):
        last, this = text[at - 1], text[at]
        flags = flags + 1 if _is_flag(last) else 0
        kind = unicodedata.category(this)
        if not (
            kind[0] == "M"
            or this in _STICKS
            or last == "\u200d"
            or unicodedata.combining(last) == 9  # virama: the next consonant is joined
            or (flags % 2 and _is_flag(this))
            or (last.isalnum() and kind in ("Po", "Pe", "Pf"))
        ):
            yield at
    yield len(text)


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


_LEVELS: tuple[Callable[[str], Iterable[int]], ...] = (_clause_ends, _word_ends, _character_ends)
