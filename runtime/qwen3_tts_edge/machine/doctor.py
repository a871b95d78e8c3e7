"""What works on this machine, why the rest does not, and how fast a bundle can be at best."""

import importlib
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qwen3_tts_edge.backends import FLAVOURS, ON_THE_CPU, automatic, open_backend
from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.backends.ort.install import TEGRA, is_jetson, onnxruntime
from qwen3_tts_edge.backends.processors import processors
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.engines import (
    TENSORRT,
    TENSORRT_RTX,
    EngineKey,
    find_engines,
    graphs_hash,
)
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.errors import BackendError, BundleError, Qwen3TTSError
from qwen3_tts_edge.machine.bandwidth import cpu_bandwidth, gpu_bandwidth
from qwen3_tts_edge.machine.hardware import PACKAGES, cpu_name, find_gpu, installed
from qwen3_tts_edge.machine.roofline import Roofline, roofline
from qwen3_tts_edge.version import VERSION

_SPEAKS = "speaks"
_EXPORT = "export the checkpoint for this machine: qwen3-tts-export bundle CHECKPOINT -o DIR"


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: What was looked at.
        ok: Whether it works; None for what is merely so.
        found: What is there, or what is wrong.
        fix: What to run or do; None where nothing need or can be done.
    """

    name: str
    ok: bool | None
    found: str
    fix: str | None = None


@dataclass(frozen=True)
class Examination:
    """All findings, and the rooflines of the bundle on the devices that can run it."""

    checks: tuple[Check, ...]
    rooflines: Mapping[str, Roofline]

    @property
    def speaks(self) -> bool:
        """Whether a backend here runs the bundle."""
        return all(check.ok for check in self.checks if check.name == _SPEAKS)


def examine(
    bundle: str | Path | None = None, report: Callable[[str], None] = lambda _: None
) -> Examination:
    """Look at the machine, at what is installed and at a bundle; measure memory.

    Args:
        bundle: Its folder; None is the voice that comes with the package.
        report: Called with what is being measured.
    """
    gpu = _gpu()
    checks = [*_machine(), gpu, *_installed()]
    backends = [_backend(name, gpu=bool(gpu.ok)) for name in FLAVOURS]
    checks += backends
    try:
        opened = Bundle.open(bundle)
    except BundleError as error:
        checks += [_failed("bundle", error), Check(_SPEAKS, False, "there is no bundle to speak")]
        return Examination(tuple(checks), {})
    manifest = opened.manifest
    checks.append(_bundle(manifest))
    fitting = [
        _with_engines(check, opened)
        for check in backends
        if manifest.flavour in FLAVOURS[check.name]
    ]
    checks.append(_speaks(manifest.flavour, fitting))
    working = {check.name for check in fitting if check.ok}
    devices: dict[str, Callable[[int], float]] = {}
    if working & {*ON_THE_CPU}:
        devices["CPU"] = cpu_bandwidth
    if working - {*ON_THE_CPU}:
        devices["GPU"] = gpu_bandwidth
    rooflines = {}
    for device, bandwidth in devices.items():
        report(f"the memory of the {device}")
        try:
            rooflines[device] = roofline(manifest, bandwidth)
        except Qwen3TTSError as error:
            checks.append(_failed(f"floor, {device}", error))
    return Examination(tuple(checks), rooflines)


def _machine() -> Iterator[Check]:
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    if is_jetson():
        system += f", Jetson {TEGRA.read_text().strip()}"
    yield Check(
        "system", None, f"{system}, Python {platform.python_version()}, qwen3-tts-edge {VERSION}"
    )
    yield Check("CPU", None, f"{cpu_name()}, {processors()} processors to use")


def _gpu() -> Check:
    try:
        gpu = find_gpu()
    except BackendError as error:
        return _failed("GPU", error)
    capability = gpu.capability or "compute capability not known"
    free = "" if gpu.free is None else f", {gpu.free / 1e9:.1f} GB of memory free"
    return Check("GPU", True, f"{gpu.name}, {capability}, {gpu.driver}{free}")


def _installed() -> Iterator[Check]:
    found = installed()
    here = ", ".join(f"{name} {number}" for name, number in found.items())
    absent = ", ".join(name for name in PACKAGES if name not in found)
    yield Check("packages", None, f"{here or 'none'}; not installed: {absent or 'none'}")
    with suppress(BackendError):  # the backends that are built on it say why
        yield Check("ORT providers", None, ", ".join(onnxruntime().get_available_providers()))


def _backend(name: str, *, gpu: bool) -> Check:
    if name not in ON_THE_CPU and not gpu:
        return Check(name, False, "needs an NVIDIA GPU")
    try:
        open_backend(name, flavour=FLAVOURS[name][0])
    except BackendError as error:
        return _failed(name, error)
    return Check(name, True, f"runs bundles of flavour {' and '.join(FLAVOURS[name])}")


def _bundle(manifest: Manifest) -> Check:
    origin = manifest.checkpoint
    named = f"{origin.name}, {origin.model_size}, {manifest.precision}, flavour {manifest.flavour}"
    return Check("bundle", True, named)


def _with_engines(check: Check, bundle: Bundle) -> Check:
    """Narrow a backend's check to a bundle: TensorRT needs engines that were built for this GPU."""
    library = check.name.replace("-", "_")
    if not check.ok or library not in (TENSORRT, TENSORRT_RTX):
        return check
    try:
        device = Cuda().device()
        key = EngineKey(
            library=library,
            version=importlib.import_module(library).__version__,
            capabilities=(device.capability,),
            gpu=device.name,
            graphs=graphs_hash(bundle.manifest),
        )
        find_engines(bundle.folder, key)
    except Qwen3TTSError as error:
        return _failed(check.name, error)
    return check


def _speaks(flavour: str, fitting: list[Check]) -> Check:
    """Say whether a backend for the bundle's flavour works; if none does, how to get the best."""
    working = [check.name for check in fitting if check.ok]
    if not working:
        reasons = "; ".join(f"{check.name}: {check.found}" for check in fitting)
        fix = next((check.fix for check in fitting if check.fix), _EXPORT)
        return Check(_SPEAKS, False, reasons or f"no backend runs the flavour {flavour}", fix)
    if automatic(flavour) in working:
        return Check(_SPEAKS, True, f"with {' and '.join(working)}")
    return Check(_SPEAKS, True, f"only with --backend {working[0]}")


def _failed(name: str, error: Qwen3TTSError) -> Check:
    return Check(name, False, error.found, error.remedy)
