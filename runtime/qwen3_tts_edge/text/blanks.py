"""Text as a page has it → words as they are seen, with one blank between them.

A checkpoint has learned from lines with single blanks. A line break, a tab, a no-break space or a
mark that nobody sees becomes a text id of its own, and is heard as a syllable.
"""

import re

_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # control characters that are not white space
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u2800\u3164\uffa0"  # soft hyphen, fillers
    "\u200b\u2060-\u2064\ufeff"  # of no width, BOM
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # the direction of writing
    "\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e007f"  # annotations, beams, tags
    "]+"
)
_LINE_END = re.compile("\r\n?|[\n\x0b\x0c\x85\u2028]")
_BLANKS = re.compile(r"[^\S\n]+")
_EMPTY_LINES = re.compile("\n{3,}")
_WORD = re.compile(r"[^ \n]{0,11}[ \n]|[^ \n]{12}")
"""What is read at once. Chinese has no blanks, so it is no longer."""

ATTACHED = "\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""Joiners and variation selectors change how the character before them is read. Persian and Indic
words have other letters without them, and a family of emoji falls apart. They stay after those."""
_JOINERS = "\u200c\u200d"
_RUN = re.compile(f"([^\\s{ATTACHED}]?)([{ATTACHED}]+)")

_MOST_SIGNS = 30
"""In a row, with a blank for the others: the dots of a table of contents. Nobody says them, and the
time to cut a text would grow with them. No letter has more marks.

Source: Unicode Standard Annex 15, Stream-Safe Text Format.
"""
_TOO_MANY = re.compile(rf"((?:[^\w\n]|_){{{_MOST_SIGNS}}})(?:[^\w\n]|_)+")


class Reading:
    """A text that comes bit by bit → its words as they are seen, the same whatever the bits."""

    def __init__(self) -> None:
        """Begin."""
        self._line_end = ""  # a carriage return, whose line feed may come
        self._seen = "\n"  # the last of what was seen: what comes is seen as what stands behind it
        self._begun = ""  # a word whose end has not come

    def feed(self, text: str) -> list[str]:
        """Add to the text.

        Returns:
            The words that have ended, a blank or a line feed behind them; what is long without one
            comes in parts. A line has no blank in front; a paragraph ends with two line feeds.
        """
        text = self._line_end + visible(text)
        self._line_end = "\r" if text.endswith("\r") else ""
        text = _LINE_END.sub("\n", text.removesuffix("\r")).replace("\u2029", "\n\n")
        text = _BLANKS.sub(" ", attached(self._seen + text)).replace("\n ", "\n")
        text = _EMPTY_LINES.sub("\n\n", text)
        text = _TOO_MANY.sub(r"\1 ", text)
        self._begun += text[len(self._seen) :]
        self._seen = attached(text[-_MOST_SIGNS - 9 :])
        words = _WORD.findall(self._begun)
        self._begun = self._begun[sum(map(len, words)) :]
        return words

    def finish(self) -> str:
        """End the text; return the word at its end."""
        return self._begun


def visible(text: str) -> str:
    """Leave out what cannot be seen."""
    return _UNSEEN.sub("", text)


def attached(text: str) -> str:
    """Leave out joiners and variation selectors that no character before them wants.

    A character takes a selector and then a joiner; a Latin letter joins nobody.
    """
    return _RUN.sub(_wanted, text)


def _wanted(found: re.Match[str]) -> str:
    base, run = found.groups()
    selector = joiner = ""
    for each in run if base else "":
        if each not in _JOINERS:
            selector = selector or ("" if joiner else each)
        elif not "!" <= base <= "\u02ff":
            joiner = joiner or each
    return f"{base}{selector}{joiner}"


def one_line(text: str) -> str:
    """Make the whole of a text one line, paragraphs too.

    Args:
        text: Any text.

    Returns:
        It without what cannot be seen, each run of white space one blank, and none at the ends; ""
        where nothing is to be seen.
    """
    return " ".join(attached(visible(text)).split())
