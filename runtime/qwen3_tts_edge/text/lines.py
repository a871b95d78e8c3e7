"""What line breaks of a text are: blanks, or ends of paragraphs, of headings, of items of lists.

Lines are broken where a page ends, too: what begins with a number or a letter is an item only where
a list may begin, or has begun. That is told by the end of the line before it and by the label, so
that a text may come bit by bit.
"""

import re
from dataclasses import dataclass

from qwen3_tts_edge.text.abbreviations import ORDINALS, SYLLABLES
from qwen3_tts_edge.text.stops import CLOSERS, EMOJI

SENTENCE_PAUSE, PARAGRAPH_PAUSE, SECTION_PAUSE = 0.25, 0.6, 1.2
"""Seconds of silence, beside what each utterance has at its ends."""

_SIGNS = r"(?:[^\w\n]|_)*"
_COUNT = r"(?:\d{1,3}|[一二三四五六七八九十]{1,3})"
_LETTER = r"(?:[^\W\d_]|[ivx]{2,5})"
_DOTTED = rf"(?:[A-Ha-h{SYLLABLES}]|[IVX]{{1,5}}|[ivx]{{1,5}})\. "
_BREAK = re.compile(rf"(?P<paragraph>\n{_SIGNS}\n)|\n")
_LINE = re.compile(
    r"\n(?:"
    rf"(?P<mark>[-*+] |[•‣◦▪●○■□・･]|\||```|[{EMOJI}])|"
    r"(?P<heading>#{1,6} )|(?P<strong>\*\*)|"
    rf"(?P<label>[–—] |{_COUNT}[.)、．）](?!\d)|[(（]{_COUNT}[)）]|\[\^?\d{{1,3}}\]:? |"
    rf"[①-⑳]|\d\ufe0f?\u20e3|"
    rf"[(（]?{_LETTER}[)）])|"
    rf"(?P<dotted>{_DOTTED}(?!\w{{1,3}}\.))"
    rf"){_SIGNS}[^\W_]"
)
_UNDECIDED = re.compile(
    rf"\n(?:{_SIGNS}(?:(?:{_COUNT}|[^\W\d_]|[IVXivx]{{2,5}}|[①-⑳]){_SIGNS})?|"
    rf"{_DOTTED}\w{{0,3}})\Z"
)
_FIRST = re.compile(r"[(（]?(?:[1１一①aAiI가](?![^\W_])|1\ufe0f?\u20e3)")
_ENDS = re.compile(rf"[.!?…:。！？｡．：][{CLOSERS}]*\Z")
_OPENS_LIST = re.compile(rf"[!?:！？：][{CLOSERS}]*\Z")
_STRONG_ENDS = re.compile(r"\*\*[:.!?]?\Z")
_HEADINGS = ("heading", "strong")
_REACH = 24
"""Characters that are looked at before a line break."""


@dataclass(frozen=True)
class Border:
    """A line break at which a piece ends.

    Attributes:
        start: Where it begins.
        end: Where the next line begins.
        pause: Seconds of silence.
    """

    start: int
    end: int
    pause: float


def undecided(raw: str) -> bool:
    """Tell whether only more text can say what the last line of a text is."""
    return bool(_UNDECIDED.match(raw, max(0, raw.rfind("\n"))))


class Lines:
    """Finds the borders among the line breaks of a text, one after the other."""

    def __init__(self) -> None:
        self._list = False  # whether a list may have begun in this paragraph
        self._heading = ""  # how this line began, if like a heading

    def border(self, raw: str) -> Border | None:
        """Find the first border of what is left of a text.

        Args:
            raw: What `blanks.Reading` gave, behind a line feed where a border was. What comes
                before its last line is not given again, but where a border was found.
        """
        for found in _BREAK.finditer(raw):
            pause = self._pause(raw, found)
            if pause is not None:
                return Border(found.start(), found.end(), pause)
        return None

    def _pause(self, raw: str, found: re.Match[str]) -> float | None:
        """Say how long the pause at a line break is; None where the sentence goes on."""
        if found["paragraph"]:
            self._list, self._heading = False, ""
            return SECTION_PAUSE if found.group().strip() else PARAGRAPH_PAUSE
        if _UNDECIDED.match(raw, found.start()):
            return None
        before = _end_of(raw, found.start())
        line = _LINE.match(raw, found.start())
        kind = (line and line.lastgroup) or ""
        item = line is not None and self._item(line, before)
        ended, self._heading = self._heading, kind if kind in _HEADINGS else ""
        if not before:
            return None
        if ended == "heading" or kind == "heading" or (ended and _STRONG_ENDS.search(before)):
            return PARAGRAPH_PAUSE
        return SENTENCE_PAUSE if item or before.endswith("|") else None

    def _item(self, line: re.Match[str], before: str) -> bool:
        """Whether a line that begins like an item is one."""
        if line["heading"] or line["strong"]:
            return False
        begins = True
        if line["label"]:  # or "am", "1. Mai"
            first = _FIRST.match(line["label"]) and before.rpartition(" ")[2] not in ORDINALS
            begins = bool(first or _ENDS.search(before))
        elif line["dotted"]:  # or "A. Smith"
            name = line["dotted"].isupper() and not _OPENS_LIST.search(before)
            begins = bool(_FIRST.match(line["dotted"]) and not name)
        self._list = self._list or not before or begins
        return self._list


def _end_of(raw: str, at: int) -> str:
    """Give the last characters before a line break that are no blanks."""
    while at and raw[at - 1].isspace():
        at -= 1
    return raw[max(0, at - _REACH) : at].replace("\n", " ")
