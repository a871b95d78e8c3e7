"""Whoever writes a file or a folder writes alone: other processes and threads wait their turn.

The operating system keeps the lock, so it is free again when its holder dies, however it dies.
"""

import errno
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_PAUSE = 0.1  # seconds between two looks at a lock that is taken
_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_log = logging.getLogger(__name__)


@contextmanager
def turn(place: Path, called: str | None = None) -> Iterator[None]:
    """Hold the lock of a place, the file `<place>.lock`, which is there for so long.

    Waits, and says so, while another holds it. Where a file system has no locks there are no turns.

    Args:
        place: What is written; it need not exist, its folder must.
        called: What the log calls it, where its name is not for others; None is by its path.

    Raises:
        OSError: The file cannot be made there; it names the place.
    """
    path = place.with_name(f"{place.name}.lock")
    try:
        file = _take(path)
    except OSError as error:
        error.filename = str(place)
        raise
    if file is None:
        _log.warning("waiting: another process is writing %s", called or place)
    while file is None:
        time.sleep(_PAUSE)
        file = _take(path)
    try:
        yield
    finally:
        if sys.platform == "win32":  # where an open file cannot be removed
            os.close(file)
            with suppress(PermissionError):  # whoever waits has it open
                path.unlink(missing_ok=True)
        else:  # removed while it is held: nobody can take it in between
            path.unlink(missing_ok=True)
            os.close(file)


def _take(path: Path) -> int | None:
    """Open and lock; None where it is held, or was just removed by who held it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    if _lock(file) and _is_there(file, path):
        return file
    os.close(file)
    return None


def _is_there(file: int, path: Path) -> bool:
    if sys.platform == "win32":  # an open file is not removed
        return True
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _lock(file: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _TAKEN
    return True
