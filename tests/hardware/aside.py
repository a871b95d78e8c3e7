"""Rows in a process of their own: what hangs or crashes there costs one row, not the rest."""

import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection

from hardware.record import Figures, NotRun, not_run

Row = Callable[[], Figures]
Prepare = Callable[..., Mapping[str, Row]]


def measured(
    prepare: Prepare,
    arguments: Sequence[object],
    names: Sequence[str],
    seconds: float,
) -> Iterator[tuple[str, Figures]]:
    """Measure rows one after the other; after a crash the rest goes on in a new process.

    Args:
        prepare: Called there with `arguments`; gives the rows by name.
        arguments: What can be pickled.
        names: The rows to measure, in order.
        seconds: The longest that a row may take.

    Yields:
        A row's name, and its figures or why there are none.
    """
    left = list(names)
    while left:
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(theirs, prepare, arguments, tuple(left)), daemon=True
        )
        process.start()
        theirs.close()
        while left:
            figures = _received(ours, process, seconds)
            yield left.pop(0), figures
            if not process.is_alive():
                break
        ours.close()
        process.join()


def _received(
    ours: Connection, process: multiprocessing.context.SpawnProcess, seconds: float
) -> Figures:
    """The next row's figures. A process that gave none is ended."""
    try:
        if ours.poll(seconds):
            found: Figures = ours.recv()
            return found
        why = f"took longer than {seconds:.0f} s"
    except EOFError:
        process.join()
        why = f"the process ended with exit code {process.exitcode}"
    process.kill()
    process.join()
    return not_run(NotRun(why))


def _work(
    theirs: Connection,
    prepare: Prepare,
    arguments: Sequence[object],
    names: Sequence[str],
) -> None:
    rows = prepare(*arguments)
    for name in names:
        try:
            figures = json.loads(json.dumps(rows[name]()))
        except Exception as error:
            figures = not_run(error)
        theirs.send(figures)
