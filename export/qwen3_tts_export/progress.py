"""How far long work is, as who does it says and as a terminal shows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, float], None]
"""Called with what is being done, and how much of the whole is done, 0 to 1."""


def within(report: Report, start: float, end: float) -> Report:
    """Report a part of the work, which is from `start` to `end` of the whole."""
    return lambda what, share: report(what, start + (end - start) * share)


@contextmanager
def progress_bar() -> Iterator[Report]:
    """Show a bar on stderr that the work moves; nothing if stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task("", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)
