"""What threads share, and a forked process must not find in use.

Of all threads only the one that forks goes along. A lock that another one holds then would be held
for ever in the child, and what it guards half changed. So a process is forked between two turns.

It ends between two turns as well: a thread that comes back from a library to a Python that is being
taken down is ended there, and of a C++ library that aborts the process.
"""

import atexit
import os
import threading
import weakref
from typing import Protocol, TypeVar


class Shared(Protocol):
    """A lock, or what has its two methods."""

    def acquire(self) -> object:
        """Wait until no other thread is at it, and let none begin."""
        ...

    def release(self) -> object:
        """Let the others go on; in a child there are none."""
        ...


_T = TypeVar("_T", bound=Shared)
_known: list["weakref.ref[Shared]"] = []
_here = threading.local()
_gate = threading.RLock()
"""Held from when all are taken: what is shared after that comes later than the fork, or never."""


def shared(one: _T) -> _T:
    """Let this process be forked, or end, only while no other thread is at `one`, if that lives.

    Who waits for another of these while it has one waits for what was given here before it.
    """
    with _gate:  # what a thread begins while the process ends is not begun
        _known.append(weakref.ref(one, _known.remove))
    return one


def _before() -> None:
    _here.taken = []
    _gate.acquire()
    while new := [
        one for each in list(_known) if (one := each()) is not None and one not in _here.taken
    ]:
        _gate.release()  # who has one of them may be making another
        for one in reversed(new):
            one.acquire()
            _here.taken.append(one)
        del one, new
        _gate.acquire()


def _after() -> None:
    for one in reversed(_here.taken):
        one.release()
    del _here.taken
    _gate.release()


atexit.register(_before)
if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
