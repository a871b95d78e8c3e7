"""Numbers, titles and the like as they are mostly written: `$4.50`, `9:15`, `Dr.`, `May 3rd`."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import NamedTuple

from qwen3_tts_voice import numerals
from qwen3_tts_voice.wordlists import MONTHS

_WORD = re.compile(r"^(\W*)(.*?)(\W*)$", re.DOTALL)
_TITLES = {"mister": "Mr", "missus": "Mrs", "doctor": "Dr", "professor": "Prof"}
_UNITS = {
    "kilometers": "km",
    "kilograms": "kg",
    "centimeters": "cm",
    "minutes": "min.",
    "hours": "hrs",
    "gigabytes": "GB",
}
_CURRENCIES = {"dollars": "$", "dollar": "$", "euros": "€", "pounds": "£"}
_PLACES = {"room", "flight", "bus", "gate", "number", "channel", "extension"}


class Piece(NamedTuple):
    """A word as written.

    Attributes:
        written: Without the blank after it.
        words: How many spoken words it stands for.
    """

    written: str
    words: int = 1


class _Figures(NamedTuple):
    """A run of spoken words in another spelling: how many, and what is written for them."""

    took: int
    written: list[Piece]


def with_figures(plain: list[Piece], draw: random.Random) -> list[Piece]:
    """Write numbers and what has an abbreviation as they are mostly written."""
    parts = [parted(piece.written) for piece in plain]
    words = [word.lower() for _, word, _ in parts]
    # A number does not go on behind a comma.
    stops = [bool(after) for *_, after in parts]
    pieces: list[Piece] = []
    at = 0
    while at < len(words):
        end = next((i + 1 for i in range(at, len(words)) if stops[i]), len(words))
        previous = words[at - 1] if at else ""
        found = None
        for rule in _RULES:
            found = rule(words[at:end], previous, draw)
            if found:
                break
        titled = words[at] in _TITLES and at + 1 < end and parts[at + 1][1][:1].isupper()
        if titled and draw.random() < 0.7:
            found = _Figures(1, [Piece(_TITLES[words[at]] + draw.choice((".", ".", "")))])
        elif words[at] == "street" and at and parts[at - 1][1][:1].isupper():
            found = _Figures(1, [Piece("St.")])
        letters = _letters([word for _, word, _ in parts[at:end]])
        if letters > 1 and draw.random() < 0.8:
            found = _Figures(letters, [Piece(_initials(words[at : at + letters], draw), letters)])
        if found is None or not found.took:
            pieces.append(plain[at])
            at += 1
            continue
        before, after = parts[at][0], parts[at + found.took - 1][2]
        written = list(found.written)
        last = written[-1].written
        if last.endswith(".") and after.startswith("."):
            after = after[1:]
        written[-1] = written[-1]._replace(written=last + after)
        written[0] = written[0]._replace(written=before + written[0].written)
        pieces += written
        at += found.took
    return pieces


def _clock(words: list[str], previous: str, draw: random.Random) -> _Figures | None:
    hour, took = numerals.small(words)
    if not took or not 1 <= hour <= 12 or took > 1:
        return None
    half = words[1:3]
    minute, more = numerals.small(words[1:])
    if words[1:2] == ["oh"]:
        minute, more = numerals.small(words[2:])
        more = more + 1 if 0 < minute < 10 else 0
    elif not 10 <= minute <= 59:
        minute, more = 0, 0
    half = words[1 + more : 3 + more]
    named = half in (["a", "m"], ["p", "m"])
    if previous in _PLACES or not (more or named):
        return None
    figures = f"{hour}{draw.choice((':', ':', ':', '.'))}{minute:02d}" if more else str(hour)
    if not named:
        return _Figures(1 + more, [Piece(figures, 1 + more)])
    name = draw.choice(("a.m.", "a.m.", "am", "AM", "A.M.")).replace("a", half[0])
    name = name.replace("A", half[0].upper())
    if draw.random() < 0.3:
        return _Figures(3 + more, [Piece(figures + name, 3 + more)])
    return _Figures(3 + more, [Piece(figures, 1 + more), Piece(name, 2)])


def _money(words: list[str], previous: str, draw: random.Random) -> _Figures | None:
    value, took = numerals.cardinal(words)
    sign = _CURRENCIES.get(words[took]) if took and took < len(words) else None
    if sign is None or previous == "point":
        return None
    took += 1
    cents, more = 0, 0
    if words[took : took + 1] == ["and"]:
        cents, more = numerals.small(words[took + 1 :])
        more = more + 2 if more and words[took + 1 + more : took + 2 + more] == ["cents"] else 0
    elif sign == "£":
        return None  # a weight as likely
    figures = f"{sign}{value:,}" + (f".{cents:02d}" if more else draw.choice(("", "", ".00")))
    return _Figures(took + more, [Piece(figures, took + more)])


def _year(words: list[str], previous: str, draw: random.Random) -> _Figures | None:
    century, took = numerals.small(words)
    if not took or not 13 <= century <= 20:
        return None
    rest, more = numerals.small(words[took:])
    if words[took : took + 1] == ["oh"]:
        rest, more = numerals.small(words[took + 1 :])
        more = more + 1 if 0 < rest < 10 else 0
    elif rest < 10:
        return None
    return _Figures(took + more, [Piece(f"{century}{rest:02d}", took + more)]) if more else None


def _called(words: list[str], previous: str, draw: random.Random) -> _Figures | None:
    """Write what is called by two numbers one after the other, `flight eight sixteen`."""
    hundreds, took = numerals.small(words)
    rest, more = numerals.small(words[took:])
    if previous not in _PLACES or not (0 < hundreds < 10 and 10 <= rest < 100):
        return None
    return _Figures(took + more, [Piece(f"{hundreds}{rest}", took + more)])


def _dated(words: list[str], previous: str, draw: random.Random) -> _Figures | None:
    months = {month.lower(): month for month in MONTHS}
    month = months.get(words[0])
    day, took = numerals.ordinal(words[1:]) if month else (0, 0)
    if not month or not took:
        return None
    short = month if len(month) < 5 or draw.random() < 0.6 else month[:3] + "."
    figures = numerals.suffixed(day) if draw.random() < 0.6 else str(day)
    return _Figures(1 + took, [Piece(short), Piece(figures, took)])


def _ordinal(words: list[str], previous: str, draw: random.Random) -> _Figures | None:
    value, took = numerals.ordinal(words)
    if not took or (words[0] == "second" and previous == "a") or draw.random() < 0.3:
        return None
    return _Figures(took, [Piece(numerals.suffixed(value), took)])


def _number(words: list[str], previous: str, draw: random.Random) -> _Figures | None:
    sign = words[0] == "minus"
    value, took = numerals.cardinal(words[sign:])
    if not took or (took == 1 and value < 10 and draw.random() < 0.5):
        return None
    took += sign
    figures = f"{value:,}" if value > 9999 or draw.random() < 0.5 else str(value)
    if words[took : took + 1] == ["point"]:
        digits = 0
        decimals = ""
        while numerals.small(words[took + 1 + digits : took + 2 + digits])[1] and digits < 3:
            decimals += str(numerals.small(words[took + 1 + digits : took + 2 + digits])[0])
            digits += 1
        if digits:
            figures, took = f"{value}.{decimals}", took + 1 + digits
    figures = "-" * sign + figures
    following = words[took] if took < len(words) else ""
    if following == "percent" and draw.random() < 0.8:
        return _Figures(took + 1, [Piece(figures + "%", took + 1)])
    if following in _UNITS and draw.random() < 0.5:
        return _Figures(took + 1, [Piece(figures, took), Piece(_UNITS[following])])
    return _Figures(took, [Piece(figures, took)])


def _and(words: list[str], previous: str, draw: random.Random) -> _Figures | None:
    if words[0] == "and" and previous and draw.random() < 0.08:
        return _Figures(1, [Piece("&")])
    return None


_RULES: tuple[Callable[[list[str], str, random.Random], _Figures | None], ...] = (
    _money,
    _called,
    _clock,
    _year,
    _dated,
    _ordinal,
    _number,
    _and,
)


def _letters(words: list[str]) -> int:
    """Count the single capital letters that the words begin with."""
    count = 0
    while count < len(words) and len(words[count]) == 1 and words[count].isupper():
        count += 1
    return count if words[:count] != ["I"] else 0


def _initials(letters: list[str], draw: random.Random) -> str:
    dot = draw.choice((".", ""))
    return "".join(letter.upper() + dot for letter in letters)


def parted(written: str) -> tuple[str, str, str]:
    """Part a word from the signs before and after it."""
    found = _WORD.match(written)
    assert found is not None, written
    return found[1], found[2], found[3]
