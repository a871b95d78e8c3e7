"""A child process that something happens to: it is killed at a moment, or its disk is full.

It is forked, so what the tests have imported costs nothing, and it ends without cleaning up after
the tests. Whoever hangs is ended by an alarm, which shows as the signal that ended it.
"""

import faulthandler
import logging
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

PATIENCE = 300
"""Seconds after which a child hangs."""

_ON_FILES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "fcntl.flock"}
_CALLS_ON_FILES = {"write", "flush", "close", "truncate", "stat", "fsync"}


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        code: As `os.waitstatus_to_exitcode` says: negative for a signal.
        said: What it wrote to stdout and stderr.
    """

    code: int
    said: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


def child(work: Callable[[], Any]) -> Ended:
    """Do something in a process of its own."""
    return together(work)[0]


def together(*works: Callable[[], Any]) -> list[Ended]:
    """Do several things at once, each in a process of its own."""
    begun = [_begin(work) for work in works]
    return [_end(*each) for each in begun]


def _begin(work: Callable[[], Any]) -> tuple[int, BinaryIO]:
    said = tempfile.TemporaryFile()  # noqa: SIM115  (`_end` closes it)
    pid = os.fork()
    if pid:
        return pid, said
    code = 70  # a fault of the software: a traceback is told
    try:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w")
        logging.basicConfig(format="%(levelname)s: %(message)s", force=True)  # not pytest's
        faulthandler.disable()
        signal.alarm(PATIENCE)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end(pid: int, said: BinaryIO) -> Ended:
    with said:
        _, status = os.waitpid(pid, 0)
        said.seek(0)
        return Ended(os.waitstatus_to_exitcode(status), said.read().decode(errors="replace"))


def moments(work: Callable[[], Any]) -> dict[bool, int]:
    """Count the moments at which `work` can be killed; a child does it once.

    Returns:
        True: What it does to files that it writes. False: All that it calls.
    """
    count = _Count()

    def counted() -> None:
        count.begin()
        try:
            work()
        finally:
            sys.stdout.write(f"\n{count.now[True]} {count.now[False]}")

    ended = child(counted)
    assert ended.code == 0, ended.said
    on_files, calls = map(int, ended.said.split()[-2:])
    return {True: on_files, False: calls}


def killed_at(work: Callable[[], Any], moment: int, *, on_files: bool) -> Ended:
    """Let a child be killed, as by `kill -9`, at such a moment."""
    return child(lambda: (_Count((on_files, moment)).begin(), work()))


class _Count:
    """Counts moments, and kills its process at one of them."""

    def __init__(self, last: tuple[bool, int] | None = None) -> None:
        self.now, self._last = {True: 0, False: 0}, last

    def begin(self) -> None:
        sys.addaudithook(self._event)
        sys.setprofile(self._call)

    def _event(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _ON_FILES or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)):
            self._step(on_files=True)

    def _call(self, _: FrameType, event: str, called: Any) -> None:
        self._step(on_files=False)
        if event == "c_call" and called.__name__ in _CALLS_ON_FILES:
            self._step(on_files=True)

    def _step(self, *, on_files: bool) -> None:
        self.now[on_files] += 1
        if (on_files, self.now[on_files]) == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def names(folder: Path) -> list[str]:
    """Everything in a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
