"""The least time a frame can take: what it must read, by how fast memory is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qwen3_tts_edge.bundle import memory
from qwen3_tts_edge.bundle.manifest import FRAME, PREDICTOR_STEP, TALKER_STEP, Manifest
from qwen3_tts_edge.machine.bandwidth import LARGE
from qwen3_tts_edge.machine.graph_reads import Reads, graph_reads

CONTEXT = 200
"""Positions of the KV cache that a frame is taken to read: a sentence and its prompt."""


@dataclass(frozen=True)
class Roofline:
    """What a frame reads, how fast the memory is, and so how long a frame takes at least.

    Attributes:
        reads: Weights.
        kv_cache: Bytes of it, at `CONTEXT` positions.
        bandwidth: Bytes a second, of as much as a frame reads.
        bandwidth_again: Likewise, of as much as it reads more than once, which is the code
            predictor. It is faster where a cache holds that.
    """

    reads: Reads
    kv_cache: int
    bandwidth: float
    bandwidth_again: float

    @property
    def floor_ms(self) -> float:
        """Milliseconds a frame takes at least."""
        first = (self.reads.once + self.kv_cache) / self.bandwidth
        return 1e3 * (first + self.reads.again / self.bandwidth_again)


def roofline(folder: Path, manifest: Manifest, bandwidth: Callable[[int], float]) -> Roofline:
    """Count and measure.

    Args:
        folder: The bundle.
        manifest: What it says of itself.
        bandwidth: Measures a device: bytes → bytes a second, see `bandwidth.py`.

    Raises:
        BundleError: A graph cannot be read.
    """
    reads = frame_reads(folder, manifest)
    plan = memory.plan(manifest)
    return Roofline(
        reads=reads,
        kv_cache=CONTEXT * plan.kv_cache // plan.capacity,
        bandwidth=bandwidth(min(reads.once, LARGE)),
        bandwidth_again=bandwidth(min(reads.shared, LARGE)),
    )


def frame_reads(folder: Path, manifest: Manifest) -> Reads:
    """Bytes of weights that a frame reads: talker once, code predictor for each codebook."""
    if FRAME in manifest.graphs:
        return graph_reads(folder / manifest.graphs[FRAME].file)
    talker, predictor = (
        graph_reads(folder / manifest.graphs[name].file) for name in (TALKER_STEP, PREDICTOR_STEP)
    )
    return talker + predictor.repeated(manifest.codebooks)
