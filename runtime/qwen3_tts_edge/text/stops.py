"""Where the sentences of a paragraph end, in the ten languages and where they are mixed.

A stop ends a sentence unless what stands around it says otherwise: an abbreviation before it, a
small letter after it. Every question looks at a few characters around one stop, so that the time is
in proportion to the text, whatever the text is. What is before the sentence is never looked at: a
sentence alone is the same sentence.
"""

import re
from collections.abc import Iterator

from qwen3_tts_edge.text import full_stops
from qwen3_tts_edge.text.blanks import ATTACHED
from qwen3_tts_edge.text.characters import EAST

CLOSERS = r"\"'”’“‘»«›‹)\]}】」』）〉》〕｣*_" + ATTACHED
"""These stay with the mark before them. What opens in English closes in German, and the reverse."""

OPENS = "[“‘«‹]\\w"
"""Where a letter follows they open what comes: Chinese has no blank in front of them."""

EMOJI = "\u2600-\u27bf\U0001f000-\U0001faff" + ATTACHED
_REFERENCE = r" ?(?:\[\^?\d{1,3}\]|[¹²³⁰⁴-⁹]+)"
_STOP = re.compile(
    r"([.!?…。！？｡．‼⁇⁈⁉]+(?: [.!?…]+(?![\w.!?…]))*)"
    rf"((?:(?!{OPENS})[{CLOSERS}]| »(?!\w)|{_REFERENCE})*)"
    rf"(?: ?[{EMOJI}]+)*"
)
_WIDE = "。！？｡．‼⁇⁈⁉"
_ELLIPSIS = re.compile(r"\.[. ]+|[…. ]*…[…. ]*")
_EAST_ONE = re.compile(f"[{EAST}]")
_EAST_AROUND = re.compile(rf"[{EAST}][^\w\s]+[{EAST}]")
SPOKEN = re.compile(r"[^\W_]")
"""A letter or digit: what is said, and not how."""
_OPENING = re.compile(r"[ \"'“‘„«»‹›(\[{¿¡「『（【《*_—–-]*")
_SAID = re.compile(
    r"[가-힣]| ?(?:と|って|[はがをにのも](?![ぁ-ゖ])|"
    r"\w{0,4}(?:[说說](?!话|話|[:：])|[问問喊答叫嚷](?![:：])|(?<!知)道(?![:：]))|"
    r"(?:\w+ ){0,2}(?:물었|물어|말했|말하|대답|외쳤))| \([^().!?]{1,20}\)[.,;:]"
)
"""After a quotation: its sentence goes on and says whose words they were. In Korean and Japanese a
particle stands right behind it, and where one reads "(Smith 55)." the full stop comes later."""
_GOES_ON = re.compile("[,;:，、；：]| [,;:/&=%+](?= )")
"""No sentence begins with one of these."""
_REACH = 24
"""Characters that are looked at on each side of a stop."""
_RESUMES = re.compile(rf"(?:[^\W_][{ATTACHED}]*| )(?=[^{ATTACHED}])")
"""Ends where no clause does, and where nothing joins what is before it."""
_NEAR = 256
"""Characters of a sentence that are searched for a place to leave out what is before it."""


def sentence_ends(paragraph: str, decided: int = 0) -> list[int]:
    """Find where the sentences of a paragraph end, closing marks and emoji included.

    Args:
        paragraph: One line.
        decided: No sentence ends at a stop that begins before this.

    Returns:
        Offsets in ascending order, the last one `len(paragraph)`; [] for "". Every sentence has a
        letter or digit, if the paragraph has.
    """
    return [*_inner_ends(paragraph, decided), len(paragraph)] if paragraph else []


def settled(paragraph: str) -> int:
    """Say how much of a paragraph that goes on has sentence ends that no more text can change.

    Args:
        paragraph: One line, as far as it is known.

    Returns:
        Characters: up to the first stop that is still to be decided.
    """
    last = _last_spoken(paragraph)
    for stop in _STOP.finditer(paragraph):
        if stop.end() > last or stop.end() + _REACH > len(paragraph):
            return stop.start()
    return len(paragraph)


def without_beginning(sentence: str, given: int) -> str:
    """Leave out of a sentence that goes on what no later stop is decided by.

    Args:
        sentence: As far as it is known.
        given: So much of it is decided.

    Returns:
        Its first letter or digit, and its end from a few words before `given` on; or all of it.
    """
    end = given - 2 * _REACH
    found = [each.end() for each in _RESUMES.finditer(sentence, max(0, end - _NEAR), max(0, end))]
    if not found:
        return sentence
    first = _first_spoken(sentence[: found[-1]], 0)
    return sentence[first : first + 1] + sentence[found[-1] :]


def _inner_ends(text: str, decided: int) -> Iterator[int]:
    last = _last_spoken(text)
    start, spoken = 0, _first_spoken(text, 0)
    for stop in _STOP.finditer(text):
        if stop.end() > last:
            return
        if max(spoken + 1, decided) <= stop.start() and _ends(text, start, spoken, stop):
            yield stop.end()
            start, spoken = stop.end(), _first_spoken(text, stop.end())


def _last_spoken(text: str) -> int:
    return next((at for at in range(len(text) - 1, -1, -1) if text[at].isalnum()), -1)


def _first_spoken(text: str, start: int) -> int:
    found = SPOKEN.search(text, start)
    return found.start() if found else len(text)


def _ends(text: str, start: int, spoken: int, stop: re.Match[str]) -> bool:
    """Whether the sentence that begins at `start`, with its first letter at `spoken`, ends here."""
    marks, closing = stop.groups()
    window = max(start, stop.start() - _REACH)
    after = text[stop.end() : stop.end() + _REACH]
    if _GOES_ON.match(after) or (closing and _SAID.match(after)):
        return False
    if marks[-1] in _WIDE:
        return not _is_within(text[window : stop.start()], marks, spoken - window)
    opening = len(_OPENING.findall(after)[0])
    first = after[opening : opening + 1]
    if _ELLIPSIS.fullmatch(marks) and not first.isupper():
        return False
    if after[0] != " ":
        return bool(_EAST_AROUND.match(text, stop.start() - 1, stop.end() + 2))
    if first.islower() and (
        closing or "—" in after[:opening] or "–" in after[:opening] or not text[spoken].islower()
    ):
        return False
    if marks != ".":
        return True
    before, opens = text[window : stop.start()], spoken - window
    if ")" not in closing and _opened(before, "([", ")]") > max(opens, -1):
        return False  # "Sané (89. Minute)"
    listed = text[spoken].isdigit()
    return not full_stops.goes_on(before, after[opening:], opens, listed=listed)


def _is_within(before: str, marks: str, spoken: int) -> bool:
    """Whether a wide stop is one of a word, a title, or an aside inside a sentence.

    Args:
        before: What is before it, of the same sentence; the last few characters are enough.
        marks: The stop.
        spoken: Where in `before` the sentence has its first letter; below 0 if that is not in it.
    """
    if marks == "．" and before[-1:].isalnum() and not _EAST_ONE.match(before[-1:]):
        return True
    return _opened(before, "《", "》") >= 0 or _opened(before, "（(", "）)") > max(spoken, -1)


def _opened(text: str, opening: str, closing: str) -> int:
    """Find where a bracket was opened that is not closed; -1 where there is none."""
    at = max(map(text.rfind, opening))
    return at if at > max(map(text.rfind, closing)) else -1
