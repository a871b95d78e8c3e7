"""Where this runs: the device, its driver, versions of libraries, the commit."""

import contextlib
import datetime
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hardware.record import Record
from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.backends.ort.install import onnxruntime
from qwen3_tts_edge.backends.processors import processors
from qwen3_tts_edge.errors import BackendError
from qwen3_tts_edge.machine.hardware import cpu_name, find_gpu
from qwen3_tts_edge.version import VERSION

_PACKAGES = (
    *("numpy", "torch", "triton", "transformers", "qwen-tts", "tensorrt", "tensorrt-rtx"),
    *("cuda-bindings", "nvidia-cublas", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13"),
)
_ROOT = Path(__file__).parents[2]
_UNKNOWN = "unknown"


def here(*, on_the_gpu: bool) -> Record:
    """An empty record of this machine: of its GPU, or of its CPU where that is what runs."""
    device, driver = cpu_name(), None
    with contextlib.suppress(BackendError):
        if on_the_gpu:
            gpu = find_gpu()
            device, driver = gpu.name, _nvidia_smi("driver_version") or gpu.driver
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    machine = f"{cpu_name()}, {processors()} of {os.cpu_count()} processors, {system}"
    return Record(device, driver, machine, datetime.date.today().isoformat())


def versions() -> dict[str, str]:
    """Of what figures depend on. ONNX Runtime's is that of the module: two packages bring it."""
    found = {"python": platform.python_version(), "qwen3-tts-edge": VERSION}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    if (module := onnxruntime()) is not None:
        cuda = getattr(module, "cuda_version", "")
        found["onnxruntime"] = module.__version__ + (f" for CUDA {cuda}" if cuda else "")
    return found


def commit() -> str:
    """Of the checkout, and whether it was changed since."""
    try:
        changes = " and changes" if _git("status", "--porcelain", "--untracked-files=no") else ""
        return _git("rev-parse", "HEAD") + changes
    except (OSError, subprocess.CalledProcessError):
        return _UNKNOWN


def now() -> str:
    """To the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def gpu_free() -> int:
    """Bytes of the GPU's memory that nobody uses."""
    said = _nvidia_smi("memory.free")  # this one takes none itself
    return int(said) * 2**20 if said.isdigit() else Cuda().free_memory()


def _nvidia_smi(field: str) -> str:
    """A number or word about the first GPU; empty where that cannot be had."""
    if shutil.which("nvidia-smi") is None:
        return ""
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.partition("\n")[0].strip()


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
