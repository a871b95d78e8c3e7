"""What stands around a full stop, as the rules of `full_stops` ask for it."""

import re
from dataclasses import dataclass
from functools import cached_property

from qwen3_tts_edge.text.abbreviations import SYLLABLES
from qwen3_tts_edge.text.characters import EAST

_LETTER = rf"[^\W\d_{EAST}]"
_START = rf"(?:\b|(?<=[{EAST}]))"
_WORDS = re.compile(
    rf"(?:{_START}{_LETTER}{{1,3}}\.[ -]{{0,2}})*{_START}{_LETTER}+(?:-{_LETTER}+)*°?$"
    rf"|\b[{SYLLABLES}]$"
)
"""The word before the stop, with those of three letters or fewer and a stop before it: "z. B"."""
_NEXT = re.compile(r"(?![^\W_][a-zа-я]?\.)[^\W_]+")  # "A. " is an initial, no article
_NUMBER = re.compile(r"(?<![\w.,])\d{1,4}$")
_COUNTED = re.compile(rf"\d ?{_LETTER}{{1,3}}$")
_UNIT = re.compile(r"(?:\d ?|[°/])[^\W\d_]$")
_SHORT = re.compile(r"(?:[^\W_]{1,2}|Chr)\.")
_SINGLE = re.compile(r"[^\W\d_]\.")
_DOUBLED = re.compile(r"([^\W\d_IX])\1")


@dataclass(frozen=True)
class Stop:
    """A full stop with a blank behind it.

    Attributes:
        before: What is before the stop, of the same sentence; its last few words are enough.
        after: What is after it, from the first letter, digit or sign.
        opens: Where in `before` the sentence has its first letter; below 0 if that is not in it.
        listed: Whether that is a digit, as of the first item of a list in one line.
    """

    before: str
    after: str
    opens: int
    listed: bool

    @cached_property
    def number(self) -> str:
        """The whole number that it stands behind, or ""."""
        found = _NUMBER.search(self.before)
        return found.group() if found else ""

    @cached_property
    def words(self) -> str:
        """What it stands behind, as `_WORDS` has it, or ""."""
        found = _WORDS.search(self.before)
        return found.group() if found else ""

    @property
    def earlier(self) -> str:
        """What stands before the number or the words."""
        return self.before[: len(self.before) - len(self.number or self.words)]

    @property
    def alone(self) -> bool:
        """Whether the sentence begins with that number or those words."""
        return len(self.earlier) == self.opens

    @cached_property
    def last(self) -> str:
        """The last of the words, with the stops inside it: "U.S"."""
        return self.words.split(" ")[-1]

    @property
    def word(self) -> str:
        """The last of the words, from its last stop on."""
        return self.last.rpartition(".")[2]

    @cached_property
    def next_word(self) -> str:
        """The word behind it as it stands there; "" for an initial or a sign."""
        found = _NEXT.match(self.after)
        return found.group() if found else ""

    @cached_property
    def shouted(self) -> bool:
        """Whether the word, in capitals, stands beside another: "DR. NO", "HAS NO. 7"."""
        beside = self.next_word
        if not beside.isalpha():
            beside = self.earlier.rstrip().rpartition(" ")[2]
        return min(len(self.word), len(beside)) > 1 and self.word.isupper() and beside.isupper()

    @cached_property
    def names(self) -> frozenset[str]:
        """What may be an abbreviation, as `abbreviations` writes them: "z.B" and "B" of "z. B"."""
        words = self.words.split(" ")
        if len(words) == 1 and self.earlier.endswith((".", "@")):
            return frozenset()  # the end of an address: "example.ie" is no "i.e."
        found = {"".join(words[at:]) for at in range(len(words))} | {self.last.rpartition("-")[2]}
        return frozenset(each.title() for each in found) if self.shouted else frozenset(found)

    @property
    def following(self) -> str:
        """The word behind it, as it would be written where not all is in capitals."""
        return self.next_word.capitalize() if self.shouted else self.next_word

    @property
    def counted(self) -> bool:
        """Whether a short word stands behind a number, as a unit does: "5 km"."""
        return bool(_COUNTED.search(self.before))

    @cached_property
    def initial(self) -> bool:
        """Whether the last word is of initials: "J", "U.S", "M.Sc", and no "x.com".

        Two of the same are the plural in Spanish: "EE. UU.".

        "т" is one where another letter follows, as in "т. е.": it is short for nothing by itself.
        """
        parts = [part.strip("-") for part in self.last.split(".")]
        if len(parts) > 1:
            return all(len(each) == 1 or (len(each) <= 3 and each[:1].isupper()) for each in parts)
        word = self.last
        if _UNIT.search(self.before) and not _SHORT.match(self.after):  # "8 h."
            return False
        if len(word) == 1:
            return word.isupper() or word.isascii() or bool(_SINGLE.match(self.after))
        return bool(_DOUBLED.fullmatch(word) and word.isupper())
