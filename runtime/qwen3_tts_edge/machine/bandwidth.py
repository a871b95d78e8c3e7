"""How fast memory is: bytes a second."""

import time
from collections.abc import Callable

import numpy as np

from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.backends.processors import processors
from qwen3_tts_edge.threads import Threads

LARGE = 2**30
"""Bytes: more would measure the same."""
_SMALLEST = 2**20
_ROUNDS = 5
_COPIES = 8


def cpu_bandwidth(nbytes: int, threads: int | None = None) -> float:
    """Read numbers of that size in all, each thread its part; the best of five rounds.

    Args:
        nbytes: What a round reads. So much stays in a cache that has room for it.
        threads: None is one per processor this program may use.

    Returns:
        Bytes a second.
    """
    threads = threads or processors()
    numbers = np.ones(max(nbytes, _SMALLEST) // 8, np.int64)  # written, or there would be no memory
    parts = np.array_split(numbers, threads)
    with Threads(threads, "reading") as pool:

        def read() -> None:
            for each in [pool.submit(np.max, part) for part in parts]:
                each.result()

        return numbers.nbytes / _best(read)


def gpu_bandwidth(nbytes: int) -> float:
    """Copy so much within the memory of the GPU; the best of five rounds of eight copies.

    Args:
        nbytes: What a copy reads, and writes.

    Returns:
        Bytes a second, read and written.

    Raises:
        BackendError: cuda-python is not installed, there is no GPU, or its memory is full.
    """
    cuda = Cuda()
    size = max(nbytes, _SMALLEST)
    stream, event = cuda.stream(), cuda.event()
    taken: list[int] = []
    try:
        taken.append(source := cuda.allocate(size))
        taken.append(target := cuda.allocate(size))
        cuda.clear(source, size, stream)

        def copies() -> None:
            for _ in range(_COPIES):
                cuda.copy(target, source, size, stream)
            cuda.record(event, stream)
            cuda.wait(event)

        return 2 * _COPIES * size / _best(copies)
    finally:
        for address in taken:
            cuda.free(address)
        cuda.destroy_event(event)
        cuda.destroy_stream(stream)


def _best(work: Callable[[], object]) -> float:
    """Time the fastest of some rounds, in seconds; slower ones shared the machine with others."""
    took = []
    work()
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return min(took)
