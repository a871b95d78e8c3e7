"""The rows about the machine alone: how fast its memory and its matrix products are."""

import statistics
import time
from collections.abc import Callable
from functools import partial

from hardware.case import attempt
from hardware.record import Figures, NotRun
from qwen3_tts_edge.machine.bandwidth import LARGE, cpu_bandwidth, gpu_bandwidth

_SIZE = 8192
_WARM_UP, _TIMES = 3, 10


def bandwidth(threads: int | None) -> Figures:
    """Gigabytes a second: read by the CPU; read and written by a copy within the GPU."""
    return {
        "cpu_read_gb_s": _gb(partial(cpu_bandwidth, threads=threads)),
        "gpu_copy_gb_s": attempt(_gb, gpu_bandwidth),
    }


def _gb(measure: Callable[[int], float]) -> float:
    return round(measure(LARGE) / 1e9, 1)


def matmul() -> Figures:
    """A product of random bfloat16 matrices in PyTorch, each launch timed by itself."""
    try:
        import torch
    except ImportError as error:
        raise NotRun("PyTorch is not installed") from error
    if not torch.cuda.is_available():
        raise NotRun("PyTorch sees no GPU")
    generator = torch.Generator("cuda").manual_seed(0)
    one, other = (
        torch.randn(_SIZE, _SIZE, device="cuda", generator=generator).to(torch.bfloat16)
        for _ in range(2)
    )
    took = []
    for _ in range(_WARM_UP + _TIMES):
        torch.cuda.synchronize()
        start = time.perf_counter()
        torch.matmul(one, other)
        torch.cuda.synchronize()
        took.append(time.perf_counter() - start)
    rate = 2 * _SIZE**3 / statistics.median(took[_WARM_UP:])
    return {"size": _SIZE, "tflop_s": round(rate / 1e12, 1)}
