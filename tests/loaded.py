"""Graphs that nobody changes, each loaded once a process: most of what opening a bundle takes.

A session carries nothing from launch to launch, so whoever opened it, it is the same. Loaded anew
is what lies elsewhere, as copies that a test edits do, and all that a forked child opens.
"""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import onnxruntime

_REAL = onnxruntime.InferenceSession


def loaded_once(load: Callable[..., Any], *folders: Path) -> Callable[..., Any]:
    """`load`, as `backends.ort.session` has it, but from these folders each graph once."""
    process, lock, kept = os.getpid(), Lock(), [folder.resolve() for folder in folders]
    sessions: dict[tuple[Any, ...], Any] = {}

    def once(path: Path, options: Any, provider: Any) -> Any:
        place = path.resolve()
        unchanged = any(place.is_relative_to(folder) for folder in kept)
        stand_in = onnxruntime.InferenceSession is not _REAL
        if not unchanged or stand_in or options.enable_profiling or os.getpid() != process:
            return load(path, options, provider)
        threads, pattern = options.intra_op_num_threads, options.enable_mem_pattern
        asked = (place, place.stat().st_mtime_ns, threads, _cores(), pattern, provider)
        with lock:
            if asked not in sessions:
                sessions[asked] = load(path, options, provider)
            return sessions[asked]

    return once


def _cores() -> int | None:
    """How many there are for who asks for no number of threads."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
