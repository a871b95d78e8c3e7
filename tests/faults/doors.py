"""Whoever opens a file that is not what it should be says so: no crash, no hang, no memory."""

import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from faults.mutations import Mutate
from qwen3_tts_edge.errors import Qwen3TTSError

_PATIENCE = 20
"""Seconds of work after which a file that is being opened hangs."""

_WAITING = 300
"""Seconds after which it does so without work. Others may have the processor for long."""

_TAKEN_ANYWAY = 16 << 20
"""Bytes: what a process takes and gives back without any file."""

_TOGETHER = 1000
"""Cases of one process: what libraries keep of files that they could not read adds up in it."""

_LONGEST_MESSAGE = 600
_ADDRESSES = 4 << 30
"""Bytes of addresses that a process may take beside those it has: more is a MemoryError."""


@dataclass(frozen=True)
class Door:
    """A file that is opened.

    Attributes:
        name: Of the kind of file.
        file: Where it lies, good at first.
        open: Opens it and works with what is in it.
        mutate: Changes it.
        others: How messages begin that tell of no file, and rightly.
        computes: It is a program, which may take memory as it likes: two axes exchanged become a
            product. The manifest's hash keeps others out, which nobody looks at here.
    """

    name: str
    file: Path
    open: Callable[[], Any]
    mutate: Mutate
    others: tuple[str, ...] = ()
    computes: bool = False

    @property
    def names(self) -> list[str]:
        """What a message may name: the file, its folder, or what it is compared with there."""
        return [str(self.file.parent), *(each.name for each in self.file.parent.iterdir())]


def faults(door: Door, cases: int, seconds: float = 1e9, seed: int = 13) -> tuple[int, list[str]]:
    """Open mutations of a door's file, in processes of their own.

    Returns:
        How many were opened, and what was wrong, a line each; what is wrong alike once.
    """
    good = door.file.read_bytes()
    found: dict[str, str] = {}
    case, last = 0, time.monotonic() + seconds
    try:
        while case < cases and (not case or time.monotonic() < last):
            before = case
            together = range(case, min(case + _TOGETHER, cases))
            for line in _opened(door, good, together, seed, seconds):
                number, _, what = line.partition(" ")
                case = int(number) + 1
                if what:
                    found.setdefault(_kind(what), f"case {number}: {what}")
            assert case > before, f"{door.name}: the good file cannot be opened"
    finally:
        door.file.write_bytes(good)
    return case, list(found.values())


def _kind(what: str) -> str:
    return "".join(char for char in what if not char.isdigit())[:160]


def mutation(door: Door, good: bytes, case: int, seed: int) -> bytes:
    """Make the mutation of that number again."""
    return door.mutate(good, Random(f"{door.name} {seed} {case}"))


def _opened(door: Door, good: bytes, cases: range, seed: int, seconds: float) -> list[str]:
    """Open mutations until one ends the process, or for so long; a line for each."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        stderr = os.dup(2)
        try:
            os.close(read)
            _alone()
            with os.fdopen(write, "w", buffering=1) as told:
                door.file.write_bytes(good)
                most, error = _memory(door.open)
                assert error is None, error
                allowed = 2 * max(most, _TAKEN_ANYWAY)
                last = time.monotonic() + seconds
                for case in cases:
                    if time.monotonic() > last:
                        break
                    told.write(f"{case} ")
                    told.flush()  # so that it is known which one ends the process
                    door.file.write_bytes(mutation(door, good, case, seed))
                    told.write(_what_is_wrong(door, allowed) + "\n")
        except BaseException:
            os.write(stderr, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        lines = told.read().split("\n")
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) and lines[-1]:
        lines[-1] += f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return [line for line in lines if line]


def _alone() -> None:
    """What a child is that may crash."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)  # what is printed by libraries
    if "FAULTS_SHOWN" not in os.environ:
        os.dup2(null, 2)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    warnings.simplefilter("ignore")  # numbers that are none
    os.environ["PATH"] = ""  # no ffmpeg: what reads sound instead is in this process, and may crash
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + _ADDRESSES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _what_is_wrong(door: Door, allowed: int) -> str:
    """Open the file; "" where that went well, or a clear error says why it did not."""
    signal.alarm(_WAITING)
    signal.setitimer(signal.ITIMER_PROF, _PATIENCE)
    grown, error = _memory(door.open)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    if grown > allowed and not door.computes:
        return f"takes {grown >> 20} MB, allowed are {allowed >> 20}"
    if error is None:
        return ""
    if not isinstance(error, Qwen3TTSError):
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        return " ".join(f"{type(error).__name__}: {error} at {where}".split())[:300]
    said = str(error)
    if "\n" in said or len(said) > _LONGEST_MESSAGE:
        return f"not a line: {said[:300]!r}"
    if not (any(name in said for name in door.names) or said.startswith(door.others)):
        return f"does not name the file: {said[:300]!r}"
    return ""


def _memory(work: Callable[[], Any]) -> tuple[int, BaseException | None]:
    """Do something; give what memory it took at most, beside what there was, and its error."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = _status("VmRSS")
    try:
        work()
    except BaseException as error:
        return _status("VmHWM") - before, error
    return _status("VmHWM") - before, None


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    raise AssertionError(name)
