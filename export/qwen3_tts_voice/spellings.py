"""The same speech under several spellings, so that spelling is learnt and not normalised away.

The teacher reads the spoken form: "Doctor Hall paid five dollars." The talker is shown one of its
written forms: "Dr. Hall paid $5.", "dr. hall paid $5", "“Doctor Hall paid five dollars.”". They are
drawn when a batch is made, so the speech is stored once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from qwen3_tts_voice.written import Piece, parted, with_figures


def respelled(spoken: str, draw: random.Random) -> list[Piece]:
    """Draw one way to write what is spoken, in a fourth of all cases the spoken form itself."""
    plain = as_spoken(spoken)
    if draw.random() < 0.25:
        return plain
    pieces = with_figures(plain, draw) if draw.random() < 0.8 else plain
    for change, share in _CHANGES:
        if draw.random() < share:
            pieces = change(pieces, draw)
    return pieces


def as_spoken(spoken: str) -> list[Piece]:
    """Write what is spoken as it is."""
    return [Piece(word) for word in spoken.split()]


def joined(pieces: Sequence[Piece], draw: random.Random | None) -> tuple[str, list[int]]:
    """Write pieces down; if there is `draw`, now and then with other than a blank between two.

    Returns:
        The text, and where each piece ends in it.
    """
    odd = "  " if draw and draw.random() < 0.05 else "\n" if draw and draw.random() < 0.04 else " "
    text, ends = "", []
    for number, piece in enumerate(pieces):
        if number:
            text += odd if draw and draw.random() < 0.4 else " "
        text += piece.written
        ends.append(len(text))
    return text, ends


def _all(of: Callable[[str], str]) -> Callable[[list[Piece], random.Random], list[Piece]]:
    return lambda pieces, draw: [p._replace(written=of(p.written)) for p in pieces]


def _one_capital(pieces: list[Piece], draw: random.Random) -> list[Piece]:
    made = list(pieces)
    at = draw.randrange(len(made))
    made[at] = made[at]._replace(written=made[at].written.upper())
    return made


def _without_stop(pieces: list[Piece], draw: random.Random) -> list[Piece]:
    stopless = pieces[-1].written.rstrip(".?!") or pieces[-1].written
    return [*pieces[:-1], pieces[-1]._replace(written=stopless)]


def _more_stops(pieces: list[Piece], draw: random.Random) -> list[Piece]:
    last = pieces[-1].written
    more = {"?": ("??", "?!", "???"), "!": ("!!", "!!!"), ".": ("...", "…", "..")}
    ends = more.get(last[-1:])
    if not ends:
        return pieces
    return [*pieces[:-1], pieces[-1]._replace(written=last[:-1] + draw.choice(ends))]


def _quoted(pieces: list[Piece], draw: random.Random) -> list[Piece]:
    """Put marks around all or some of the words."""
    opens, closes = draw.choice(('""', '""', "“”", "“”", "''", "‘’", "()", "**", "«»"))
    start, end = 0, len(pieces) - 1
    if draw.random() < 0.7:
        start = draw.randrange(len(pieces))
        end = draw.randrange(start, len(pieces))
    made = list(pieces)
    before, word, after = parted(made[end].written)
    inside = draw.random() < 0.5
    closed = after + closes if inside else closes + after
    made[end] = made[end]._replace(written=before + word + closed)
    made[start] = made[start]._replace(written=opens + made[start].written)
    return made


def _other_pauses(pieces: list[Piece], draw: random.Random) -> list[Piece]:
    """Write commas as something else that parts."""
    other = draw.choice((";", ":", "...", " -", " –", "…", "—"))
    return [
        p._replace(written=p.written[:-1] + other) if p.written.endswith(",") else p for p in pieces
    ]


_CHANGES: tuple[tuple[Callable[[list[Piece], random.Random], list[Piece]], float], ...] = (
    (_other_pauses, 0.08),
    (_without_stop, 0.10),
    (_more_stops, 0.05),
    (_one_capital, 0.06),
    (_all(str.upper), 0.06),
    (_all(str.lower), 0.10),
    (_quoted, 0.14),
    (_all(lambda text: text.replace("'", "’")), 0.15),
)
