"""Text as a page has it → paragraphs of one line each: what is seen, with one blank between words.

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

ATTACHED = "\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""Joiners and variation selectors change how the character before them is read. Persian and Indic
words have other letters without them, and a family of emoji falls apart. They stay after those."""
_JOINERS = "\u200c\u200d"
_RUN = re.compile(f"([^\\s{ATTACHED}]?)([{ATTACHED}]+)")


def seen(text: str) -> str:
    """Leave out what cannot be seen, and make each line end a line feed."""
    return _LINE_END.sub("\n", visible(text))


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
