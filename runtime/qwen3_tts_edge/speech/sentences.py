"""A text of any length → pieces that one utterance each can hold, and the pauses between them.

The longer a piece is, the smaller a border may end it: half full it ends with a sentence, then with
a clause, then with a word. Nothing is lost, said twice or moved. A border is chosen by what stands
before it and a few characters behind it, so a text may come bit by bit: the pieces are the same,
and what is certain is given at once.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from qwen3_tts_edge.speech.blanks import PARAGRAPH_END, attached, one_line, seen, visible
from qwen3_tts_edge.speech.stops import CLOSERS, sentence_ends, settled

SENTENCE_PAUSE, PARAGRAPH_PAUSE = 0.25, 0.6
"""Seconds of silence, beside what each utterance has at its ends."""

_FULL = {"sentence": 0.5, "clause": 0.75, "word": 0.9, "character": 2.0}
"""How full a piece must be to end there; with a character only where the next does not fit."""

_SMALL_LETTER, _SYLLABLE, _OTHER = 80, 200, 300
"""Milliseconds in usual speech. A letter without capitals is a syllable of Chinese, Japanese or
Korean; a digit or a sign is a word; a capital may be spelled, and a comma is a short pause."""

_CLAUSE = re.compile(rf"(?:[,;:–][{CLOSERS}]*(?= )|(?:[，：](?!\d)|[、；]|—+|…+)[{CLOSERS}]*) *")
_WORD = re.compile(r" +")
_LONGEST_WORD = 12
"""Characters; of what is longer without a blank, Chinese for one, so many are a word."""
_STICKS = re.compile("[\u200c\u200d\uff9e\uff9f\U0001f3fb-\U0001f3ff\u1160-\u11ff]")
"""Joiners, voicing marks of narrow kana, skin colours, vowels and finals of Korean letters."""


@dataclass(frozen=True)
class Part:
    """A part of a piece.

    Attributes:
        text: It goes on where the part before ended.
        ends: Whether the piece ends with it.
        pause: Seconds of silence before the next piece, if it ends.
    """

    text: str
    ends: bool = False
    pause: float = 0.0


@dataclass(frozen=True)
class Piece:
    """What one utterance says.

    Attributes:
        text: One line, not blank, without blanks at its ends.
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


def split(splitter: "Splitter | Whole", text: str) -> list[Piece]:
    """Cut a whole text into pieces.

    Returns:
        The pieces in order, [] where nothing is to be seen. No piece has parts of two paragraphs;
        a paragraph without a letter or digit ("* * *") is a piece too.
    """
    pieces: list[Piece] = []
    begun = ""
    for part in (*splitter.feed(text), *splitter.finish()):
        begun += part.text
        if part.ends:
            pieces.append(Piece(begun.strip(), part.pause))
            begun = ""
    return [*pieces[:-1], *(replace(last, pause=0.0) for last in pieces[-1:])]


class Splitter:
    """Cuts a text that comes bit by bit; however it comes, the pieces are those of the whole."""

    def __init__(self, most_seconds: float, most_sentences: int | None = None) -> None:
        """Begin.

        Args:
            most_seconds: Of usual speech in one piece. One character that takes longer is a piece.
            most_sentences: In one piece; None for as many as there is time for.
        """
        self._most_seconds = most_seconds
        self._most_sentences = most_sentences
        self._raw = ""  # from the sentence on that is being given
        self._line_end = ""  # a carriage return, whose line feed may come
        self._given = 0  # characters of that sentence
        self._open = False  # whether the piece has any text
        self._seconds = 0.0  # of the piece
        self._sentences = 0

    def feed(self, text: str) -> list[Part]:
        """Add to the text; return the parts that are certain now."""
        text = self._line_end + visible(text)
        self._line_end = "\r" if text.endswith("\r") else ""
        self._raw = attached(self._raw + seen(text.removesuffix("\r")))
        parts: list[Part] = []
        while border := PARAGRAPH_END.search(self._raw):
            rest = self._raw[border.end() :]
            self._raw = self._raw[: border.start()]
            parts += self._finish_paragraph()
            self._raw = rest
        return [*parts, *self._parts(whole=False)]

    def finish(self) -> list[Part]:
        """End the text; return its last parts."""
        self._raw += seen(self._line_end)
        self._line_end = ""
        return self._finish_paragraph()

    def _finish_paragraph(self) -> list[Part]:
        parts = list(self._parts(whole=True))
        self._raw, self._given = "", 0
        if self._open:
            parts.append(self._end(PARAGRAPH_PAUSE))
        elif parts and parts[-1].ends:
            parts[-1] = replace(parts[-1], pause=PARAGRAPH_PAUSE)
        return parts

    def _parts(self, *, whole: bool) -> Iterator[Part]:
        """Give what is certain of the paragraph, or all that is left of it."""
        line = one_line(self._raw)
        sentence = 0
        for end, border in list(self._words(line, whole=whole)):
            word = line[self._given : end]
            seconds = usual_seconds(word)
            if self._open and self._seconds + seconds > self._most_seconds:
                yield self._end(0.0)
            yield Part(word)
            self._given, self._open = end, self._open or bool(word.strip())
            self._seconds += seconds
            if border == "sentence":
                self._sentences += 1
                sentence = end
            if self._open and self._is_full(border):
                yield self._end(SENTENCE_PAUSE if border == "sentence" else 0.0)
        blanks = self._raw[len(self._raw.rstrip()) :]
        self._raw = line[sentence:] + blanks
        self._given -= sentence

    def _words(self, line: str, *, whole: bool) -> Iterator[tuple[int, str]]:
        """Give the ends of the words that are certain, and what each of them is the end of."""
        certain = len(line) if whole else settled(line)
        borders = _borders(line, certain, whole=whole)
        at = self._given
        for end in sorted(end for end in borders if end > at):
            for cut in self._cuts(line[at:end]):
                yield at + cut, "character"
            yield end, borders[end]
            at = end
        rest = line[at:certain]
        if not whole and len(rest) > _LONGEST_WORD:  # it is a long word, wherever it will end
            for cut in self._cuts(rest):
                yield at + cut, "character"

    def _cuts(self, word: str) -> Iterator[int]:
        """Give where a long word is cut, into parts that are not long but for single characters.

        All but the last of the cuts are the same when the word goes on.
        """
        start, ends = 0, list(_character_ends(word))
        for end, after in pairwise(ends):
            part = word[start:after].rstrip()
            if len(part) > _LONGEST_WORD or usual_seconds(part) > self._most_seconds:
                yield end
                start = end

    def _is_full(self, border: str) -> bool:
        """Whether the piece is full enough to end at such a border."""
        if border == "sentence" and self._sentences == self._most_sentences:
            return True
        return self._seconds >= _FULL[border] * self._most_seconds

    def _end(self, pause: float) -> Part:
        self._open, self._seconds, self._sentences = False, 0.0, 0
        return Part("", ends=True, pause=pause)


class Whole:
    """Takes a text as it stands, for one piece; used like a `Splitter`."""

    def feed(self, text: str) -> list[Part]:
        """Return the text."""
        return [Part(text)]

    def finish(self) -> list[Part]:
        """End the piece."""
        return [Part("", ends=True)]


def _borders(line: str, certain: int, *, whole: bool) -> dict[int, str]:
    """Where words, clauses and sentences end, the blanks behind them included."""
    found = dict.fromkeys(_ends(_WORD, line), "word")
    found |= dict.fromkeys(_ends(_CLAUSE, line), "clause")
    for end in sentence_ends(line):
        found[end + line[end:].startswith(" ")] = "sentence"
    return {
        end: kind for end, kind in found.items() if end <= certain and (whole or end < len(line))
    }


def _ends(border: re.Pattern[str], line: str) -> Iterator[int]:
    return (found.end() for found in border.finditer(line))


def _milliseconds(text: str) -> int:
    return sum(map(_of_character, text))


@lru_cache(maxsize=4096)
def _of_character(character: str) -> int:
    kind = unicodedata.category(character)
    if kind[0] in "MZC":  # a mark on a letter, a blank, what is not seen
        return 0
    return {"Ll": _SMALL_LETTER, "Lo": _SYLLABLE}.get(kind, _OTHER)


def _character_ends(text: str) -> Iterator[int]:
    """After what is one character to a reader, the sign behind a letter included."""
    flags = 0
    for at in range(1, len(text)):
        last, this = text[at - 1], text[at]
        flags = flags + 1 if _is_flag(last) else 0
        kind = unicodedata.category(this)
        if not (
            kind[0] == "M"
            or _STICKS.match(this)
            or last == "\u200d"
            or unicodedata.combining(last) == 9  # virama: the next consonant is joined
            or (flags % 2 and _is_flag(this))
            or (last.isalnum() and kind in ("Po", "Pe", "Pf"))
        ):
            yield at
    yield len(text)


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
