"""Faults are injected by what Linux has: signals, disks in memory, and what a process maps."""

import sys

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]
