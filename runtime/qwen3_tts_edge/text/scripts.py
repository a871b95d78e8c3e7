"""Whether a text is written as a checkpoint's languages are."""

import unicodedata
from collections import Counter
from collections.abc import Collection

_LATIN = ("LATIN",)
_SCRIPTS = {
    "chinese": ("CJK",),
    "english": _LATIN,
    "french": _LATIN,
    "german": _LATIN,
    "italian": _LATIN,
    "japanese": ("CJK", "HIRAGANA", "KATAKANA"),
    "korean": ("HANGUL", "CJK"),
    "portuguese": _LATIN,
    "russian": ("CYRILLIC",),
    "spanish": _LATIN,
}
"""How the released checkpoints' languages are written: how Unicode's names of letters begin."""


def foreign_script(text: str, languages: Collection[str]) -> str | None:
    """Name the script of a text that none of a checkpoint's languages is written in.

    Args:
        text: What is to be said.
        languages: The checkpoint's own names of them.

    Returns:
        The script that most of its letters are of, such as "Cyrillic" or "Chinese"; None where a
        language has it, there is no letter, or it is not known how one of them is written.
    """
    if not languages or not all(each in _SCRIPTS for each in languages):
        return None
    letters = filter(str.isalpha, unicodedata.normalize("NFKC", text))  # no wide ones, no halves
    counts = Counter(unicodedata.name(each, "unknown").split()[0] for each in letters)
    known = {script for each in languages for script in _SCRIPTS[each]}
    if not counts or (script := counts.most_common(1)[0][0]) in known:
        return None
    return "Chinese" if script == "CJK" else script.capitalize()
