"""A text of any length → pieces that one utterance each can hold, and the pauses between them.

The longer a piece is, the smaller a border may end it: half full it ends with a sentence, then with
a clause, then with a word. No letter or digit is lost, said twice or moved. A border is chosen by
what stands before it and a few characters behind it, so a text may come bit by bit: the pieces are
the same, and what is certain is given at once.

Signs without a letter or digit are never a piece: a checkpoint would make up something to say. A
line of them ("* * *", "---", an emoji alone) ends a paragraph, with a longer pause. Inside a
paragraph they stay with what they stand beside, and are left out only where no piece can hold them.

A line break is a blank, but in front of an item of a list and around a heading, as `lines` says:
these are pieces by themselves.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.pace import usual_seconds
from qwen3_tts_edge.speech.blanks import attached, one_line, seen, visible
from qwen3_tts_edge.speech.characters import character_ends
from qwen3_tts_edge.speech.lines import PARAGRAPH_PAUSE, SENTENCE_PAUSE, Lines, undecided
from qwen3_tts_edge.speech.stops import (
    CLOSERS,
    OPENS,
    SPOKEN,
    sentence_ends,
    settled,
    without_beginning,
)

_FULL = {"sentence": 0.5, "clause": 0.75, "word": 0.9, "character": 2.0}
"""How full a piece must be to end there; with a character only where the next does not fit."""

_CLAUSE = re.compile(
    rf"(?:[,;:–][{CLOSERS}]*(?= )|(?:[，：](?!\d)|[、；]|—+|…+)"
    rf"(?:(?!{OPENS}|[\"']\w)[{CLOSERS}])*) *"
)
_WORD = re.compile(r" +")
_LONGEST_WORD = 12
"""Characters; of what is longer without a blank, Chinese for one, so many are a word."""

_SECONDS_PER_BYTE = 0.02
"""Of UTF-8, in usual speech at least: marks that are piled on a letter take no time, and have text
ids, of which an utterance holds so many. No letter that is spoken has so many bytes."""


@dataclass(frozen=True)
class Part:
    """A part of a piece.

    Attributes:
        text: It goes on where the part before ended.
        ends: Whether the piece ends with it.
        pause: Seconds of silence before the next piece. Where no piece ends, that of the last piece
            is longer than was said.
    """

    text: str
    ends: bool = False
    pause: float = 0.0


def check_text(text: str) -> None:
    """Refuse a text in which there is nothing to say.

    Raises:
        InputError: It is empty, or has no letter or digit.
    """
    if not SPOKEN.search(visible(text)):
        found = "has no letter or digit" if one_line(text) else "is empty"
        raise InputError(f"the text {found}", "give at least one word to say")


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
        self._raw = "\n"  # the sentence that is being given, perhaps shortened, and what follows
        self._line_end = ""  # a carriage return, whose line feed may come
        self._given = 0  # characters of that sentence
        self._pause: float | None = None  # after the last piece; None before the first
        self._lines = Lines()
        self._begin()

    def _begin(self) -> None:
        """Begin a piece."""
        self._held = ""  # its text so far, as long as it has no letter or digit
        self._last = ""  # characters of it
        self._spoken = False  # whether it has a letter or digit
        self._full = False  # whether it ends before the next letter or digit
        self._seconds = 0.0
        self._sentences = 0

    def feed(self, text: str) -> list[Part]:
        """Add to the text; return the parts that are certain now."""
        text = self._line_end + visible(text)
        self._line_end = "\r" if text.endswith("\r") else ""
        self._raw = attached(self._raw + seen(text.removesuffix("\r")))
        return [*self._paragraphs(), *self._parts(whole=False)]

    def finish(self) -> list[Part]:
        """End the text; return its last parts."""
        self._raw += "\n"
        self._line_end = ""
        return [*self._paragraphs(), *self._finish_paragraph(PARAGRAPH_PAUSE)]

    def _paragraphs(self) -> Iterator[Part]:
        """Give what is left of the paragraphs, headings and items of lists that have ended."""
        while border := self._lines.border(self._raw):
            rest = self._raw[border.end :]
            self._raw = self._raw[: border.start]
            yield from self._finish_paragraph(border.pause)
            self._raw += rest

    def _finish_paragraph(self, pause: float) -> Iterator[Part]:
        yield from self._parts(whole=True)
        self._raw, self._given = "\n", 0  # its first line may have nothing to say
        yield from self._end(pause)

    def _parts(self, *, whole: bool) -> Iterator[Part]:
        """Give what is certain of the paragraph, or all that is left of it."""
        certain = _beginning(self._raw, whole=whole)
        line, rest = one_line(self._raw[:certain]), self._raw[certain:]
        sentence = 0
        for end, border in list(self._words(line, whole=whole)):
            yield from self._add(line[self._given : end])
            self._given = end
            if border == "sentence":
                self._sentences += 1
                sentence = end
                if self._is_full(border) or not self._spoken:
                    yield from self._end(SENTENCE_PAUSE)
            elif self._is_full(border):
                self._full = True
        kept = without_beginning(line[sentence:], self._given - sentence)
        self._raw = kept + rest
        self._given -= len(line) - len(kept)

    def _add(self, word: str) -> Iterator[Part]:
        """Add a word to the piece, or to the next where this one is full or cannot hold it."""
        seconds, spoken = _seconds(word, self._last), bool(SPOKEN.search(word))
        too_long = self._seconds + seconds > self._most_seconds
        if (too_long and self._seconds) or (self._full and spoken):
            yield from self._end(0.0)
            seconds = _seconds(word)
        self._seconds += seconds
        self._spoken = self._spoken or spoken
        self._held += word
        self._last = (self._last + word)[-2 * _LONGEST_WORD :]
        if self._spoken:
            yield Part(self._held)
            self._held = ""

    def _words(self, line: str, *, whole: bool) -> Iterator[tuple[int, str]]:
        """Give the ends of the words that are certain, and what each of them is the end of."""
        certain = len(line) if whole else settled(line)
        at = self._given
        borders = _borders(line, at, certain, whole=whole)
        for end in sorted(borders):
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
        start, ends = 0, list(character_ends(word))
        for end, after in pairwise(ends):
            part = word[start:after].rstrip()
            if len(part) > _LONGEST_WORD or _seconds(part) > self._most_seconds:
                yield end
                start = end

    def _is_full(self, border: str) -> bool:
        """Whether the piece is full enough to end at such a border."""
        if border == "sentence" and self._sentences == self._most_sentences:
            return True
        return self._seconds >= _FULL[border] * self._most_seconds

    def _end(self, pause: float) -> Iterator[Part]:
        """End the piece; one without a letter or digit is left out, and its pause stays."""
        if self._spoken or (self._pause is not None and pause > self._pause):
            self._pause = pause
            yield Part("", ends=self._spoken, pause=pause)
        self._begin()


class Whole:
    """Takes a text as it stands, for one piece; used like a `Splitter`."""

    def feed(self, text: str) -> list[Part]:
        """Return the text."""
        return [Part(text)]

    def finish(self) -> list[Part]:
        """End the piece."""
        return [Part("", ends=True)]


def _seconds(word: str, before: str = "") -> float:
    """Estimate what a word takes of a piece, behind what stands before it there."""
    return max(
        usual_seconds(word, before), _SECONDS_PER_BYTE * len(word.encode("utf-8", "replace"))
    )


def _borders(line: str, given: int, certain: int, *, whole: bool) -> dict[int, str]:
    """Where the next words, clauses and sentences end, the blanks behind them included."""
    found = dict.fromkeys(_ends(_WORD, line), "word")
    found |= dict.fromkeys(_ends(_CLAUSE, line), "clause")
    for end in sentence_ends(line, given):
        found[end + line[end:].startswith(" ")] = "sentence"
    last = certain if whole else min(certain, len(line) - 1)
    return {end: kind for end, kind in found.items() if given < end <= last}


def _beginning(raw: str, *, whole: bool) -> int:
    """Say how much of a text is not its last line that has nothing to say yet, or blanks."""
    at = max(0, raw.rfind("\n"))
    unsure = undecided(raw) and not (whole and SPOKEN.search(raw, at))
    return at if unsure else len(raw.rstrip())


def _ends(border: re.Pattern[str], line: str) -> Iterator[int]:
    return (found.end() for found in border.finditer(line))
