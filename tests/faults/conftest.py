"""Faults are injected by what Linux has: signals, disks in memory, and what a process maps."""

import sys

import pytest

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(autouse=True)
def _one_thread_each(one_thread: None) -> None:
    """Children are forked, and OpenMP waits for ever there for threads that were not."""
