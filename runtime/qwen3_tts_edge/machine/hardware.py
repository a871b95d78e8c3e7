"""Which processor and which GPU are here."""

import contextlib
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.backends.ort.install import TEGRA, is_jetson, packages
from qwen3_tts_edge.errors import BackendError

PACKAGES = ("onnxruntime", "openvino", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx", "cuda-python")
_QUERY = "name,compute_cap,driver_version,memory.free"
_SECONDS = 20
_MODEL = Path("/proc/device-tree/model")


@dataclass(frozen=True)
class Gpu:
    """A GPU.

    Attributes:
        name: As NVIDIA calls it.
        capability: Compute capability, as `sm_89`; None where nothing here can tell.
        driver: What is known of its version.
        free: Bytes of memory that nobody uses; None where nothing here can tell.
    """

    name: str
    capability: str | None
    driver: str
    free: int | None


def cpu_name() -> str:
    """Give the processor's own name, where the system tells it."""
    return _of_the_cpu("model name") or platform.processor() or "unknown processor"


def cpu_can(ability: str) -> bool:
    """Tell whether the system says that the processor has an ability, such as avx512_vnni."""
    return ability in _of_the_cpu("flags").split()


def _of_the_cpu(name: str) -> str:
    """What Linux says of the first processor; nothing elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith(name):
                return line.split(":", 1)[1].strip()
    return ""


def installed() -> dict[str, str]:
    """List the installed packages that run graphs or help to, with their versions."""
    return packages(PACKAGES)


def find_gpu() -> Gpu:
    """Find the GPU that CUDA counts first.

    cuda-python is asked before `nvidia-smi`: it knows what this program would use.

    Raises:
        BackendError: No GPU is found; says why.
    """
    with contextlib.suppress(BackendError):  # not installed, or no driver: others may know
        cuda = Cuda()
        device = cuda.device()
        driver = f"driver for CUDA {cuda.driver()}"
        return Gpu(device.name, device.capability, driver, cuda.free_memory())
    program = shutil.which("nvidia-smi")
    if program is not None:
        return _by_nvidia_smi(program)
    if is_jetson():
        release = TEGRA.read_text().split(",")[0].strip("# \n")
        return Gpu(_board(), None, f"L4T {release}", None)
    raise BackendError(
        "no NVIDIA driver was found",
        "if there is a GPU, install its driver from https://www.nvidia.com/drivers",
    )


def _by_nvidia_smi(program: str) -> Gpu:
    command = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(
            f"nvidia-smi did not answer: {error}", "see why `nvidia-smi` fails"
        ) from error
    facts = done.stdout.partition("\n")[0].split(", ")
    if len(facts) != _QUERY.count(",") + 1:
        said = " ".join((done.stdout + done.stderr).split())
        raise BackendError(f"nvidia-smi found no GPU: {said}", "see why `nvidia-smi` fails")
    name, capability, driver, free = facts
    return Gpu(name, f"sm_{capability.replace('.', '')}", f"driver {driver}", _mib(free))


def _mib(number: str) -> int | None:
    return int(number) * 2**20 if number.isdigit() else None  # [N/A] where memory is the host's


def _board() -> str:
    return _MODEL.read_text().strip("\0\n") if _MODEL.exists() else "Jetson"
