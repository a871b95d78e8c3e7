"""How far long work is, as who does it says and as a terminal or a log shows."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Report = Callable[[str, float], None]
"""Called with what is being done, and how much of the whole is done, 0 to 1."""

_BETWEEN_LINES = 60.0
"""Seconds. A log that says nothing for hours looks as one of a work that hangs does."""


def within(report: Report, start: float, end: float) -> Report:
    """Report a part of the work, which is from `start` to `end` of the whole."""
    return lambda what, share: report(what, start + (end - start) * share)


@contextmanager
def progress_bar() -> Iterator[Report]:
    """Show on stderr how far the work is: a bar on a terminal, elsewhere a line a minute."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _by_lines()
        return
    columns = (
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)


def _by_lines() -> Report:
    began = told = time.monotonic()

    def report(what: str, share: float) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _BETWEEN_LINES:
            told = now
            minutes, seconds = divmod(round(now - began), 60)
            click.echo(f"{share:.0%} after {minutes}:{seconds:02}: {what}", err=True)

    return report
