"""Words and what they are the ends of → pieces, each as full as its best end lets it be.

A piece that is half full ends with its sentence. Until that ends, its words are held: a piece that
becomes too full ends with the best of them, so that no single word is left for the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from qwen3_tts_edge.text.lines import SENTENCE_PAUSE
from qwen3_tts_edge.text.phrases import divided
from qwen3_tts_edge.text.stops import SPOKEN
from qwen3_tts_edge.text.words import End, seconds

_HALF, _LEFT = 0.5, 0.2
"""Of a piece; so much of its sentence is left for the next, where there is a choice."""
_BEFORE = 24
"""Characters that are looked at before a word, to tell whether its capitals are spelled."""


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


class _Word(NamedTuple):
    """A word of a piece.

    Attributes:
        text: With the blank behind it.
        end: What it is the end of.
        seconds: Of the piece, up to its end.
        spoken: Whether the piece has a letter or digit up to there.
        last: Characters of the piece, up to there.
    """

    text: str
    end: End
    seconds: float
    spoken: bool
    last: str


_NOTHING = _Word("", End.CHARACTER, 0.0, spoken=False, last="")


class Filling:
    """Fills pieces with words."""

    def __init__(self, most_seconds: float, most_sentences: int | None) -> None:
        """Begin.

        Args:
            most_seconds: Of usual speech in one piece. A word that takes longer is a piece.
            most_sentences: In one piece; None for as many as there is time for.
        """
        self._most_seconds = most_seconds
        self._most_sentences = most_sentences
        self._pause: float | None = None  # after the last piece; None before the first
        self._begin()

    def _begin(self) -> None:
        """Begin a piece."""
        self._given: _Word | None = None  # the last that is given
        self._held: list[_Word] = []
        self._sentences = 0

    def add(self, word: str, end: End) -> Iterator[Part]:
        """Add a word, with the blank behind it; give the parts that are certain now."""
        yield from self._hold(word, end)
        yield from self._fit((1 + _LEFT) * self._most_seconds)
        if end == End.SENTENCE:
            self._sentences += 1
            full = self._sentences == self._most_sentences or self._fuller_than(_HALF)
            if full or not self._last.spoken:
                yield from self.end(SENTENCE_PAUSE)

    def end(self, pause: float) -> Iterator[Part]:
        """End the piece; one without a letter or digit is left out, and its pause stays."""
        yield from self._fit(self._most_seconds)
        yield from self._give()
        yield from self._end(pause)

    def _fuller_than(self, share: float) -> bool:
        return self._last.seconds >= share * self._most_seconds

    @property
    def _begun(self) -> bool:
        """Whether some of the piece is given; before, it has no letter or digit."""
        return self._given is not None

    @property
    def _last(self) -> _Word:
        """The last word of the piece."""
        return self._held[-1] if self._held else self._given or _NOTHING

    @property
    def _may_end(self) -> bool:
        """Whether the piece may end with what is given, rather than with a word that is tied."""
        given = self._given
        quarter = _HALF / 2 * self._most_seconds
        return given is not None and given.end > End.TIED and given.seconds >= quarter

    def _hold(self, word: str, end: End) -> Iterator[Part]:
        before = self._last
        spoken = before.spoken or bool(SPOKEN.search(word))
        lasts = before.seconds + seconds(word, before.last)
        self._held.append(_Word(word, end, lasts, spoken, (before.last + word)[-_BEFORE:]))
        tied = end <= End.TIED and self._may_end
        if not (tied or self._fuller_than(_HALF)):
            yield from self._give()

    def _fit(self, most_seconds: float) -> Iterator[Part]:
        """Cut pieces off until the rest is no longer than this, or a single word."""
        while self._last.seconds > most_seconds and (self._begun or len(self._held) > 1):
            yield from self._divide()
            number = self._best()
            self._held, rest = self._held[:number], self._held[number:]
            yield from self._give()
            yield from self._end(0.0)
            for each in rest:
                yield from self._hold(each.text, each.end)

    def _divide(self) -> Iterator[Part]:
        """Look for words in what has no blanks, where no clause ends in time."""
        fit = [each.end for each in self._held if each.seconds <= self._most_seconds]
        if max(fit, default=End.CHARACTER) < End.CLAUSE:
            given = self._given or _NOTHING
            held = [(each.text, each.end) for each in self._held]
            (_, end), *words = divided(held, given.last)
            if self._given and end > given.end:
                self._given = given._replace(end=end)
            if len(words) > len(held):
                self._held = []
                for word, end in words:
                    yield from self._hold(word, end)

    def _best(self) -> int:
        """Say with how many of the words that are held the piece ends best."""
        most, left = self._most_seconds, self._last.seconds - _LEFT * self._most_seconds
        fit = [at for at, each in enumerate(self._held, 1) if each.seconds <= most]
        said = {at: self._held[at - 1] for at in fit if self._held[at - 1].spoken}
        if not said:
            return 0 if self._begun else max(fit, default=1)
        best = max(said, key=lambda at: (said[at].end, said[at].seconds <= left, at))
        return 0 if said[best].end <= End.TIED and self._may_end else best

    def _give(self) -> Iterator[Part]:
        """Give what is held, if there is something to say."""
        if self._held and self._last.spoken:
            yield Part("".join(each.text for each in self._held))
            self._given, self._held = self._held[-1], []

    def _end(self, pause: float) -> Iterator[Part]:
        if self._begun or (self._pause is not None and pause > self._pause):
            self._pause = pause
            yield Part("", ends=self._begun, pause=pause)
        self._begin()
