"""English number words and figures: `twenty five` is 25 and takes two words, `third` is 3."""

from __future__ import annotations

from collections.abc import Sequence

from qwen3_tts_voice.wordlists import ORDINALS, TENS, UNITS

_BELOW_TWENTY = {word: value for value, word in enumerate(UNITS)}
_TENS = {word: 10 * value for value, word in enumerate(TENS, start=2)}
_SCALES = {"thousand": 1000, "million": 1_000_000}
_ORDINALS = {word: value for value, word in enumerate(ORDINALS, start=1)}
_ORDINALS |= {"thirtieth": 30, "fortieth": 40, "fiftieth": 50, "sixtieth": 60, "hundredth": 100}


def small(words: Sequence[str]) -> tuple[int, int]:
    """Read a number below a hundred from the first words: its value, and of how many; (0, 0)."""
    if not words:
        return 0, 0
    first = words[0]
    if first in _TENS:
        unit = _BELOW_TWENTY.get(words[1], 0) if len(words) > 1 else 0
        return (_TENS[first] + unit, 2) if 0 < unit < 10 else (_TENS[first], 1)
    return (_BELOW_TWENTY[first], 1) if first in _BELOW_TWENTY else (0, 0)


def cardinal(words: Sequence[str]) -> tuple[int, int]:
    """Read the longest number that the first words make: its value, and of how many; (0, 0)."""
    total, value, used = 0, 0, 0
    while used < len(words):
        word = words[used]
        joined = word == "and" and used and words[used - 1] in ("hundred", *_SCALES)
        found, took = small(words[used + joined :])
        if (
            took
            and value % 100 == 0
            and (value or not used or words[used - 1] in _SCALES or joined)
        ):
            value, used = value + found, used + joined + took
        elif word == "hundred" and 0 < value < 100 and words[used - 1] != "hundred":
            value, used = value * 100, used + 1
        elif word in _SCALES and 0 < value < 1000:
            total, value, used = total + value * _SCALES[word], 0, used + 1
        else:
            break
    return total + value, used


def ordinal(words: Sequence[str]) -> tuple[int, int]:
    """Read an ordinal below a hundred from the first words, likewise."""
    if not words:
        return 0, 0
    if words[0] in _ORDINALS:
        return _ORDINALS[words[0]], 1
    if words[0] in _TENS and len(words) > 1 and 0 < _ORDINALS.get(words[1], 0) < 10:
        return _TENS[words[0]] + _ORDINALS[words[1]], 2
    return 0, 0


def suffixed(value: int) -> str:
    """Write an ordinal in figures: 1st, 22nd, 13th."""
    ending = "th" if 10 < value % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def spelled(value: int) -> str:
    """Spell a number from 0 to 999,999,999 in English words."""
    for size, name in ((1_000_000, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= size:
            rest = f" {spelled(value % size)}" if value % size else ""
            return f"{spelled(value // size)} {name}{rest}"
    if value < 20:
        return UNITS[value]
    return TENS[value // 10 - 2] + (f" {UNITS[value % 10]}" if value % 10 else "")


def ordinal_spelled(value: int) -> str:
    """Spell an ordinal from 1 to 99 in English words."""
    if value <= 20:
        return ORDINALS[value - 1]
    if value % 10:
        return f"{TENS[value // 10 - 2]} {ORDINALS[value % 10 - 1]}"
    return TENS[value // 10 - 2][:-1] + "ieth"
