"""A text and its pieces, each cut when it is asked for.

To cut a long text takes as long as some frames, for which nobody who speaks should wait.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from qwen3_tts_edge.text.filling import Part
from qwen3_tts_edge.text.sentences import Splitter, Whole

AT_ONCE = 200
"""Characters of a text that are cut at once."""


@dataclass(frozen=True)
class Piece:
    """What one utterance says.

    Attributes:
        text: One line with a letter or digit, without blanks at its ends.
        pause: Seconds of silence after it; 0 inside a sentence, and after the last.
    """

    text: str
    pause: float


def split(splitter: Splitter | Whole, text: str) -> Iterator[Piece]:
    """Cut a whole text into pieces, each when it is asked for.

    Returns:
        The pieces in order, none where there is nothing to say. No piece has parts of two
        paragraphs.
    """
    cut = Cut(splitter)
    cut.feed(text)
    cut.finish()
    last: Piece | None = None
    begun = ""
    while (part := cut.first()) is not None:
        cut.drop()
        begun += part.text
        if part.ends:
            if last is not None:
                yield last
            last, begun = Piece(begun.strip(), part.pause), ""
        elif part.pause and last is not None:
            last = replace(last, pause=part.pause)
    if last is not None:
        yield replace(last, pause=0.0)


class Cut:
    """A text that may come bit by bit, and its parts: cut when they are asked for, not before."""

    def __init__(self, splitter: Splitter | Whole) -> None:
        """Begin; the splitter is its own from now on."""
        self._splitter = splitter
        self._bits: deque[str] = deque()  # that are not cut yet
        self._ended = self._cut = False
        self._parts: deque[Part] = deque()

    def feed(self, text: str) -> None:
        """Add to the text."""
        self._bits.extend(text[at : at + AT_ONCE] for at in range(0, len(text), AT_ONCE))

    def finish(self) -> None:
        """End the text."""
        self._ended = True

    def clear(self) -> None:
        """Forget what is left of it, and end it."""
        self._ended = self._cut = True
        self._bits.clear()
        self._parts.clear()

    def first(self) -> Part | None:
        """Give the first part that is left; None where none is certain, or there is none."""
        while not self._parts:
            if self._bits:
                self._parts.extend(self._splitter.feed(self._bits.popleft()))
            elif self._ended and not self._cut:
                self._cut = True
                self._parts.extend(self._splitter.finish())
            else:
                return None
        return self._parts[0]

    def drop(self) -> None:
        """Go on to the part behind the first."""
        self._parts.popleft()
