"""Files whose hash was compared before, so that opening a bundle again need not read all of it.

A file is taken for the one it was by what the file system says of it. Only files that had the hash
they should have are remembered: a memory that is lost, old or damaged costs time, and accuses no
file. Whoever can write in the user's cache folder can forge it.
"""

import time
from contextlib import suppress
from pathlib import Path

import msgspec

from qwen3_tts_edge.bundle.own_files import has_hash
from qwen3_tts_edge.cache import cache_folder
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.files import NOT_JSON, Strict, write_json

FILE = "hashes.json"
MOST = 512
"""Files that are remembered, those compared last; at 300 bytes each or so."""
_SETTLED = 2_000_000_000
"""Nanoseconds since a file's last change before it is remembered. Another change in the same tick
of the file system's clock would leave no trace; FAT's, the slowest, ticks every two seconds."""


class Seen(Strict, frozen=True):
    """A file as it was when its hash was compared; what `os.stat` says, and the hash it had."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    device: int
    inode: int
    sha256: str


class _Kept(Strict, frozen=True):
    files: tuple[Seen, ...]


class HashMemory:
    """The files that are remembered, in the cache folder; where there is none, no file is."""

    def __init__(self) -> None:
        self._known = _load()
        self._new: dict[str, Seen] = {}

    def has(self, path: Path, sha256: str) -> bool:
        """Tell whether a file has this hash, and read it if it is not known as it is now.

        Raises:
            OSError: It cannot be read.
        """
        now = time.time_ns()
        seen = _seen(path, sha256)
        if self._known.get(seen.path) == seen:
            return True
        if not has_hash(path, sha256):
            return False
        if now - max(seen.mtime_ns, seen.ctime_ns) > _SETTLED:
            self._new[seen.path] = seen
        return True

    def save(self) -> None:
        """Remember what was found; where that cannot be written, nothing is said."""
        if not self._new:
            return
        known = {path: seen for path, seen in _load().items() if path not in self._new}
        files = (*known.values(), *self._new.values())
        with suppress(OSError, InputError, UnicodeEncodeError):  # of a path that is no Unicode
            folder = cache_folder()
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / FILE, _Kept(files=files[-MOST:]))


def _load() -> dict[str, Seen]:
    try:
        kept = msgspec.json.decode((cache_folder() / FILE).read_bytes(), type=_Kept)
    except (OSError, InputError, *NOT_JSON):
        return {}
    return {seen.path: seen for seen in kept.files}


def _seen(path: Path, sha256: str) -> Seen:
    found = path.stat()
    return Seen(
        path=str(path.absolute()),
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        device=found.st_dev,
        inode=found.st_ino,
        sha256=sha256,
    )
