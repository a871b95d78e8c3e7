"""What of ONNX Runtime is installed here, and what its CUDA provider lacks."""

import contextlib
import ctypes
import importlib
import io
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from qwen3_tts_edge.errors import BackendError, reason

CUDA = "CUDAExecutionProvider"
INSTALL = 'pip install "qwen3-tts-edge[gpu]"'
DRIVER = "libcuda.so.1"
TEGRA = Path("/etc/nv_tegra_release")
"""Where a Jetson says which system it has."""


def onnxruntime() -> Any:
    """Import ONNX Runtime.

    Raises:
        BackendError: See `import_error`.
    """
    try:
        module = importlib.import_module("onnxruntime")
        module.InferenceSession  # noqa: B018  # where most files are gone, a folder is a module too
    except (ImportError, AttributeError) as error:
        raise import_error(error, INSTALL) from error
    return module


def import_error(error: Exception, install: str) -> BackendError:
    """Say of an import of ONNX Runtime that failed whether it is not there, or is broken.

    Args:
        error: What was raised.
        install: The command that installs it.
    """
    if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
        return BackendError("ONNX Runtime is not installed", f"run: {install}")
    remedy = "run: pip install --force-reinstall --no-deps onnxruntime"
    if sys.platform == "win32" and "DLL" in str(error):
        remedy = f"install Microsoft's Visual C++ Redistributable; if that is there, {remedy}"
    return BackendError(
        f"ONNX Runtime is installed, but cannot be loaded ({reason(error)})", remedy
    )


def packages(names: Iterable[str] = ("onnxruntime", "onnxruntime-gpu")) -> dict[str, str]:
    """Those of some packages that are installed, with their versions; unasked ONNX Runtime's."""
    found = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def cuda_lack() -> BackendError | None:
    """Why ONNX Runtime cannot use CUDA here; None when nothing is missing that can be seen.

    It loads the CUDA libraries from NVIDIA's Python packages on the way, which ONNX Runtime does
    not do by itself.
    """
    try:
        module = onnxruntime()
    except BackendError as error:
        return error
    offered = CUDA in module.get_available_providers()
    if not offered and "onnxruntime-gpu" not in packages():
        return _for_the_cpu()
    if sys.platform == "linux":
        lack = _libraries_lack(module)
        if lack is not None:
            return lack
    return None if offered or CUDA in module.get_available_providers() else _hidden()


def is_jetson() -> bool:
    """Whether this is one of NVIDIA's boards with the GPU on the chip."""
    return TEGRA.exists()


def _for_the_cpu() -> BackendError:
    if is_jetson():
        return BackendError(
            "this is a Jetson, for whose GPU onnxruntime-gpu has no code",
            "use the backend tensorrt",
        )
    found = "".join(f" {number}" for number in packages().values())
    return BackendError(
        f"onnxruntime{found} is for the CPU alone",
        f"run: pip uninstall -y onnxruntime && {INSTALL}",
    )


def _hidden() -> BackendError:
    """The package is there, its provider is not: another package of the same module won."""
    named = " and ".join(f"{name} {number}" for name, number in packages().items())
    return BackendError(
        f"{named} offers no CUDA: the module onnxruntime can be of one package only",
        f"run: pip uninstall -y onnxruntime onnxruntime-gpu && {INSTALL}",
    )


def _libraries_lack(module: Any) -> BackendError | None:
    if not _loads(DRIVER):
        return BackendError(
            f"no NVIDIA driver: {DRIVER} cannot be loaded",
            "install the driver from https://www.nvidia.com/drivers; start a container with "
            "--gpus all",
        )
    if not module.cuda_version:  # a build for the CPU hides the one for CUDA
        return None
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
        module.preload_dlls()
    needed = _libraries(module.cuda_version)
    missing = [f"{name} (of {package})" for name, package in needed.items() if not _loads(name)]
    if not missing:
        return None
    return BackendError(
        f"ONNX Runtime's CUDA provider needs {', '.join(missing)}, which cannot be loaded",
        f"run: {INSTALL}",
    )


def _libraries(cuda: str) -> dict[str, str]:
    """Libraries that the provider needs, and the Python packages that bring them.

    Args:
        cuda: The CUDA version it was built with, as 13.0. From 13 on the packages have no suffix.
    """
    major = cuda.split(".", maxsplit=1)[0]
    suffix = "" if int(major) >= 13 else f"-cu{major}"
    return {
        f"libcudart.so.{major}": f"nvidia-cuda-runtime{suffix}",
        f"libcublasLt.so.{major}": f"nvidia-cublas{suffix}",
        f"libcublas.so.{major}": f"nvidia-cublas{suffix}",
        "libcurand.so.10": f"nvidia-curand{suffix}",
        "libcudnn.so.9": f"nvidia-cudnn-cu{major}",
    }


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
