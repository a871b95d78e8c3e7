"""What tests make once and keep: for all processes of a run, and for the next run.

It lies in `build/tests-cache`, in a folder named by a hash of all it is made from; what was made
from anything else is thrown away.
"""

import atexit
import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock

ROOT = Path(__file__).parent.parent
CACHE = ROOT / "build" / "tests-cache"

_CODE = "export/qwen3_tts_export"
_TRACED = (f"{_CODE}/graphs/**/*.py", f"{_CODE}/modules/*.py", "tests/traces.py")
_EXPORTED = (
    f"{_CODE}/**/*.py",
    "runtime/qwen3_tts_edge/bundle/*.py",
    "runtime/qwen3_tts_edge/[fv]*.py",  # files, version
    "models/*.toml",
    "models/edge-voice/*.*",
    "models/edge-voice/speech_tokenizer/*",
    "tests/[ckt]*.py",  # conftest and this, tiny and traces
    "tests/export/test_voice_engines.py",
)
_PACKAGES = (
    *("torch", "onnx", "onnxscript", "onnx_ir", "numpy", "ml_dtypes", "safetensors", "tokenizers"),
    *("tensorrt", "tensorrt_rtx"),
)


class Kept:
    """Folders and files of one hash: each whole or not there."""

    def __init__(self, what: str, sources: Iterable[str]) -> None:
        self.folder = CACHE / f"{what}-{_hash_of(sources)}"
        self.folder.mkdir(parents=True, exist_ok=True)
        stamp = self.folder / f".{os.getpid()}"
        atexit.register(stamp.unlink, missing_ok=True)
        with FileLock(CACHE / ".lock"):
            stamp.touch()
            for other in CACHE.glob(f"{what}-*"):
                if other != self.folder and not any(map(_runs, other.glob(".[0-9]*"))):
                    shutil.rmtree(other)

    def get(self, name: str, make: Callable[[Path], Any]) -> Path:
        """What `make(path)` makes: now, if no process has made it before."""
        path = self.folder / name
        with FileLock(f"{path}.lock"):
            if not path.exists():
                part = path.with_name(f"{name}.half")
                shutil.rmtree(part, ignore_errors=True)
                part.unlink(missing_ok=True)
                make(part)
                part.rename(path)
        return path


def exports() -> Kept:
    """Checkpoints, bundles and engines."""
    return Kept("exports", _EXPORTED)


def traces() -> Kept:
    """Graphs without weights, which fewer files say what they are."""
    return Kept("traces", _TRACED)


def _hash_of(sources: Iterable[str]) -> str:
    found = hashlib.sha256(platform.python_version().encode())
    for package in _PACKAGES:
        found.update(f"{package} {_version(package)}\n".encode())
    for path in sorted(path for source in sources for path in ROOT.glob(source)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        found.update(f"{path.relative_to(ROOT).as_posix()} {content}\n".encode())
    return found.hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _runs(stamp: Path) -> bool:
    """Whether the process that left this stamp is still there: another run, of older sources."""
    import psutil

    return psutil.pid_exists(int(stamp.name[1:]))
