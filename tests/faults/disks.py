"""Small disks, and disks that are only read: real ones, in memory."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, nbytes: int) -> Iterator[None]:
    """Let `folder` be a disk of so many bytes, empty."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount(folder, f"size={nbytes}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def only_read(folder: Path) -> Iterator[None]:
    """Let nobody write in `folder`, root neither."""
    _mount(folder, "bind", folder)
    try:
        _mount(folder, "remount,bind,ro")
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def _mount(folder: Path, options: str, source: Path | None = None) -> None:
    kind = [] if "bind" in options else ["-t", "tmpfs"]
    command = ["mount", *kind, "-o", options, source or "tmpfs", folder]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no command mount")
    if done.returncode:
        pytest.skip(f"disks may not be mounted here: {done.stderr.strip()}")
