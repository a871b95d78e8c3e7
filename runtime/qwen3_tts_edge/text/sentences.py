"""A text of any length → pieces that one utterance each can hold, and the pauses between them.

A piece that is half full ends with its sentence, and inside one that is too long where a speaker
breathes, as `filling` says. No letter or digit is lost, said twice or moved. The text is read word
by word, and a border is chosen by what stands before it and a few characters behind it. So it may
come bit by bit: the pieces are the same, what is certain is given soon, and no word takes longer
to read because of what came before it.

Signs without a letter or digit are never a piece: a checkpoint would make up something to say. A
line of them ("* * *", "---", an emoji alone) ends a paragraph, with a longer pause. Inside a
paragraph they stay with what they stand beside, and are left out only where no piece can hold them,
or where more than thirty stand in a row.

A line break is a blank, but in front of an item of a list and around a heading, as `lines` says:
these are pieces by themselves.
"""

from collections.abc import Iterator

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.text.blanks import Reading, one_line, visible
from qwen3_tts_edge.text.filling import Filling, Part
from qwen3_tts_edge.text.lines import PARAGRAPH_PAUSE, Lines, undecided
from qwen3_tts_edge.text.stops import SPOKEN, without_beginning
from qwen3_tts_edge.text.words import End, words


def check_text(text: str) -> None:
    """Refuse a text in which there is nothing to say.

    Raises:
        InputError: It is empty, or has no letter or digit.
    """
    if not SPOKEN.search(visible(text)):
        found = "has no letter or digit" if one_line(text) else "is empty"
        raise InputError(f"the text {found}", "give at least one word to say")


class Splitter:
    """Cuts a text that comes bit by bit. It is read word by word, so the bits change nothing."""

    def __init__(self, most_seconds: float, most_sentences: int | None = None) -> None:
        """Begin.

        Args:
            most_seconds: Of usual speech in one piece. One character that takes longer is a piece.
            most_sentences: In one piece; None for as many as there is time for.
        """
        self._most_seconds = most_seconds
        self._reading = Reading()
        self._lines = Lines()
        self._filling = Filling(most_seconds, most_sentences)
        self._raw = "\n"  # the sentence that is being given, perhaps shortened, and what follows
        self._given = 0  # characters of that sentence

    def feed(self, text: str) -> list[Part]:
        """Add to the text; return the parts that are certain now."""
        return [part for word in self._reading.feed(text) for part in self._read(word)]

    def finish(self) -> list[Part]:
        """End the text; return its last parts."""
        last = self._read(self._reading.finish() + "\n")
        return [*last, *self._finish_paragraph(PARAGRAPH_PAUSE)]

    def _read(self, word: str) -> Iterator[Part]:
        """Read on; give the parts that are certain now."""
        self._raw += word
        while border := self._lines.border(self._raw):
            rest = self._raw[border.end :]
            self._raw = self._raw[: border.start]
            yield from self._finish_paragraph(border.pause)
            self._raw += rest
        yield from self._parts(whole=False)

    def _finish_paragraph(self, pause: float) -> Iterator[Part]:
        """Give what is left of a paragraph, of a heading or of an item of a list."""
        yield from self._parts(whole=True)
        self._raw, self._given = "\n", 0  # its first line may have nothing to say
        yield from self._filling.end(pause)

    def _parts(self, *, whole: bool) -> Iterator[Part]:
        """Give what is certain of the paragraph, or all that is left of it."""
        certain = _beginning(self._raw, whole=whole)
        line, rest = " ".join(self._raw[:certain].split()), self._raw[certain:]
        sentence = 0
        for end, border in list(words(line, self._given, self._most_seconds, whole=whole)):
            yield from self._filling.add(line[self._given : end], border)
            self._given = end
            if border == End.SENTENCE:
                sentence = end
        kept = without_beginning(line[sentence:], self._given - sentence)
        self._raw = kept + rest
        self._given -= len(line) - len(kept)


class Whole:
    """Takes a text as it stands, for one piece; used like a `Splitter`."""

    def feed(self, text: str) -> list[Part]:
        """Return the text."""
        return [Part(text)]

    def finish(self) -> list[Part]:
        """End the piece."""
        return [Part("", ends=True)]


def _beginning(raw: str, *, whole: bool) -> int:
    """Say how much of a text is not its last line that has nothing to say yet, or blanks."""
    at = max(0, raw.rfind("\n"))
    unsure = undecided(raw) and not (whole and SPOKEN.search(raw, at))
    return at if unsure else len(raw.rstrip())
