"""Choose what TensorRT and TensorRT-RTX build for, check their versions, and watch a build."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qwen3_tts_edge.backends.tensorrt.library import INSTALL, import_library
from qwen3_tts_edge.bundle.engines import TENSORRT, TENSORRT_RTX
from qwen3_tts_edge.bundle.names import COMPAT, TRT
from qwen3_tts_edge.errors import BackendError, BundleError, InputError
from qwen3_tts_export.progress import Report

RTX, THIS_GPU = "rtx", "this-gpu"
RTX_CAPABILITIES = ("sm_80", "sm_86", "sm_89", "sm_120")
TARGETS = (RTX, *RTX_CAPABILITIES, THIS_GPU)
"""All of TensorRT-RTX's in one plan; one of them; or full TensorRT for the GPU that is here."""

LEAST_VERSIONS = {
    TENSORRT: {TRT: (10, 15), COMPAT: (10, 3)},
    TENSORRT_RTX: {TRT: (1, 4), COMPAT: (1, 4)},
}
"""By library and flavour: 10.15 is the first to read RotaryEmbedding and TensorScatter."""


@dataclass(frozen=True)
class Target:
    """What to build for; the fields mean what they mean in `EngineKey`."""

    library: str
    capabilities: tuple[str, ...]
    gpu: str | None


def find_target(name: str) -> Target:
    """Find out what one of `TARGETS` means on this machine.

    Raises:
        InputError: It is none of them.
        BackendError: `this-gpu`, and there is no GPU or no cuda-python to ask it.
    """
    if name == THIS_GPU:
        from qwen3_tts_edge.backends.cuda import Cuda

        device = Cuda().device()
        return Target(TENSORRT, (device.capability,), device.name)
    if name == RTX:
        return Target(TENSORRT_RTX, RTX_CAPABILITIES, None)
    if name in RTX_CAPABILITIES:
        return Target(TENSORRT_RTX, (name,), None)
    raise InputError(
        f"no target is called {name!r}",
        f"choose one of {', '.join(TARGETS)}: TensorRT-RTX builds for those capabilities "
        "anywhere, and TensorRT for any GPU on the machine that has it",
    )


def open_library(name: str, flavour: str) -> Any:
    """Import TensorRT or TensorRT-RTX.

    Args:
        name: `tensorrt` or `tensorrt_rtx`.
        flavour: Of the graphs that it is to read.

    Returns:
        The module.

    Raises:
        BundleError: No TensorRT reads that flavour.
        BackendError: The library is not installed, or too old for it.
    """
    if flavour not in LEAST_VERSIONS[name]:
        raise BundleError(
            f"the bundle has flavour {flavour!r}, {name} reads trt, or compat where it is old",
            "export the checkpoint again with --flavour trt",
        )
    module = import_library(name)
    least = LEAST_VERSIONS[name][flavour]
    found = tuple(int(number) for number in re.findall(r"\d+", module.__version__)[:2])
    if found < least:
        older = LEAST_VERSIONS[name][COMPAT] < least
        raise BackendError(
            f"{name} {module.__version__} is too old for flavour {flavour}, which needs "
            f"{'.'.join(map(str, least))}",
            f"run: {INSTALL[name]}"
            + (", or export the checkpoint again with --flavour compat" if older else ""),
        )
    return module


def reasons(messages: Iterable[str]) -> str:
    """Join error messages to one line, without the complaints that there is no GPU to build on."""
    lines = [line.strip() for message in messages for line in message.splitlines()]
    return "; ".join(line for line in lines if line and "catchCudaError" not in line)


def make_progress(library: Any, report: Report) -> Any:
    """Make a progress monitor of a library.

    Args:
        library: The module.
        report: Called with the name of a phase and how much of the build is done, 0 to 1.

    Returns:
        The monitor. Once its `stopped` is set the build ends at the next step, without a plan.
    """

    class Progress(library.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            library.IProgressMonitor.__init__(self)
            self.stopped = False
            self._done = 0.0
            self._phases: dict[str, tuple[float, float]] = {}  # where it stands, what a step is

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            start, whole = self._phases.get(parent or "", (0.0, 1.0))
            self._phases[phase] = (start, whole / max(1, steps))
            self._report(phase, start)

        def step_complete(self, phase: str, _: int) -> bool:
            start, step = self._phases[phase]
            self._phases[phase] = (start + step, step)
            self._report(phase, start + step)
            return not self.stopped

        def phase_finish(self, phase: str) -> None:
            self._phases.pop(phase)

        def _report(self, phase: str, done: float) -> None:
            self._done = min(1.0, max(self._done, done))  # the library counts some steps twice
            report(phase, self._done)

    return Progress()
