"""What a person sees on stderr while speech is made, and when it is done."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import click

from qwen3_tts_edge.speech.chunk import Audio, Chunk
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.whole import Pieces

_ERASE = "\r\x1b[K"
T = TypeVar("T")


def shown(spoken: Iterable[Chunk]) -> Iterator[Chunk]:
    """Pass chunks on and, when stderr is a terminal, say how much has been spoken."""
    return _followed(spoken, lambda chunk: f"{chunk.metrics.audio:.1f} s")


def counted(pieces: Pieces) -> Iterator[tuple[int, Audio]]:
    """Pass pieces on and, when stderr is a terminal, say how many of all are spoken."""
    spoken: list[float] = []

    def text(piece: tuple[int, Audio]) -> str:
        spoken.append(piece[1].metrics.audio)
        return f"{len(spoken)} of {len(pieces)} pieces, {sum(spoken):.1f} s"

    return _followed(pieces, text)


def progressed(items: Iterable[T], seconds: Callable[[T], float], length: float) -> Iterator[T]:
    """Pass items on and, when stderr is a terminal, say how much of a long work is done.

    Args:
        items: Pieces of the work.
        seconds: How much sound a piece is.
        length: How much there is in all.
    """
    done: list[float] = []

    def text(item: T) -> str:
        done.append(seconds(item))
        return f"{sum(done):.0f} of {length:.0f} s"

    return _followed(items, text)


def _followed(items: Iterable[T], text: Callable[[T], str]) -> Iterator[T]:
    """Pass items on and, when stderr is a terminal, say something of each once it is dealt with."""
    if not watched():  # what is said may take time to find out
        yield from items
        return
    with counting() as count:
        for item in items:
            yield item
            count(text(item))


@contextmanager
def counting() -> Iterator[Callable[[str], None]]:
    """Give what shows how far a work is, one text in place of the last, on a terminal alone."""
    if not watched():
        yield lambda _: None
        return
    try:
        yield lambda text: click.echo(f"{_ERASE}{text}", nl=False, err=True)
    finally:
        click.echo(_ERASE, nl=False, err=True)


def report(output: str, pieces: Sequence[Metrics], seed: int, *, quiet: bool = False) -> int:
    """Say what was made, how fast, and by which seed; warn when it is not all of the text.

    Args:
        output: Where it went.
        pieces: What was measured.
        seed: Speaks the same again.
        quiet: Only warn.

    Returns:
        The exit code: 1 where some of the text is missing that was not to be cut.
    """
    wrong = [each for each in pieces if each.cut or each.too_short]
    count = len(pieces)
    metrics = Metrics.of(pieces)
    first = "none" if metrics.ttfa is None else f"{1000 * metrics.ttfa:.0f} ms"
    if not quiet:
        click.echo(
            f"{output}: {metrics.audio:.2f} s of speech, TTFA {first}, RTF {metrics.rtf:.3f}, "
            f"seed {seed}",
            err=True,
        )
    for kind, remedy in _REMEDIES.items():
        here = sum(kind in (each.cut, each.too_short and "too short") for each in wrong)
        if here:
            which = "the speech" if count == 1 else f"{here} of {count} pieces of the text"
            click.echo(f"warning: {which} {remedy.format(seconds=metrics.audio)}", err=True)
    return 1 if any(each.too_short or each.cut != "asked" for each in wrong) else 0


_REMEDIES = {
    "asked": "was cut after {seconds:.2f} s, before its end, as asked; raise --max-seconds",
    "patience": "was cut, for it did not end although its text takes a fraction of that; another "
    "--seed is the cure, or --max-seconds if it is still speech",
    "too short": "ended before its text can have been spoken; another --seed is the cure",
    "checkpoint": "was cut where the checkpoint's own limit is, max_new_tokens; say it in pieces "
    "with a smaller --piece-seconds",
    "memory": "was cut where the KV cache is full; another --seed is the cure, or a smaller "
    "--piece-seconds",
}


def watched() -> bool:
    """Whether somebody sees stderr; a service may have none."""
    return sys.stderr is not None and sys.stderr.isatty()
