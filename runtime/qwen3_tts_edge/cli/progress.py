"""What a person sees on stderr while speech is made, and when it is done."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import click

from qwen3_tts_edge.speech.chunk import Chunk
from qwen3_tts_edge.speech.metrics import Metrics

_ERASE = "\r\x1b[K"
T = TypeVar("T")


def shown(spoken: Iterable[Chunk]) -> Iterator[Chunk]:
    """Pass chunks on and, when stderr is a terminal, say how much has been spoken."""
    if not sys.stderr.isatty():
        yield from spoken
        return
    try:
        for chunk in spoken:
            yield chunk
            click.echo(f"{_ERASE}{chunk.metrics.audio:.1f} s", nl=False, err=True)
    finally:
        click.echo(_ERASE, nl=False, err=True)


def progressed(items: Iterable[T], seconds: Callable[[T], float], length: float) -> Iterator[T]:
    """Pass items on and, when stderr is a terminal, say how much of a long work is done.

    Args:
        items: Pieces of the work.
        seconds: How much sound a piece is.
        length: How much there is in all.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    done = 0.0
    try:
        for item in items:
            yield item
            done += seconds(item)
            click.echo(f"{_ERASE}{done:.0f} of {length:.0f} s", nl=False, err=True)
    finally:
        click.echo(_ERASE, nl=False, err=True)


def report(output: str, metrics: Metrics, seed: int) -> None:
    """Say what was made, how fast, and by which seed; warn when a limit cut it."""
    name = "stdout" if output == "-" else output
    first = "none" if metrics.ttfa is None else f"{1000 * metrics.ttfa:.0f} ms"
    click.echo(
        f"{name}: {metrics.audio:.2f} s of speech, TTFA {first}, RTF {metrics.rtf:.3f}, "
        f"seed {seed}",
        err=True,
    )
    if metrics.ran_away:
        click.echo(
            f"warning: the speech was cut after {metrics.audio:.2f} s, for it did not end although "
            "its text takes a fraction of that; another seed is the cure, or --max-seconds if it "
            "is still speech",
            err=True,
        )
    elif metrics.ended is False:
        click.echo(
            f"warning: the speech was cut after {metrics.audio:.2f} s, before its end; raise "
            "--max-seconds",
            err=True,
        )
