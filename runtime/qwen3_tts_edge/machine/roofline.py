"""The least time a frame can take: what it must read, by how fast memory is."""

from collections.abc import Callable
from dataclasses import dataclass

from qwen3_tts_edge.bundle import memory
from qwen3_tts_edge.bundle.graph_spec import ReadsSpec
from qwen3_tts_edge.bundle.manifest import FRAME, PREDICTOR_STEP, TALKER_STEP, Manifest
from qwen3_tts_edge.machine.bandwidth import LARGE

CONTEXT = 200
"""Positions of the KV cache that a frame is taken to read: a sentence and its prompt."""


@dataclass(frozen=True)
class Roofline:
    """The least time of a frame, and what it follows from.

    Attributes:
        reads: Weights.
        kv_cache: Bytes of it, at `CONTEXT` positions.
        bandwidth: Bytes a second, of as much as a frame reads.
        bandwidth_again: Likewise, of as much as it reads more than once, which is the code
            predictor. It is faster where a cache holds that.
    """

    reads: ReadsSpec
    kv_cache: int
    bandwidth: float
    bandwidth_again: float

    @property
    def floor_ms(self) -> float:
        """Milliseconds a frame takes at least."""
        first = (self.reads.once + self.kv_cache) / self.bandwidth
        return 1e3 * (first + self.reads.again / self.bandwidth_again)


def roofline(manifest: Manifest, bandwidth: Callable[[int], float]) -> Roofline:
    """Measure the memory of a device, and set it against what a frame reads.

    Args:
        manifest: Of the bundle.
        bandwidth: Measures a device: bytes → bytes a second, see `bandwidth.py`.
    """
    reads = frame_reads(manifest)
    plan = memory.plan(manifest)
    return Roofline(
        reads=reads,
        kv_cache=CONTEXT * plan.kv_cache // plan.capacity,
        bandwidth=bandwidth(min(reads.once, LARGE)),
        bandwidth_again=bandwidth(min(reads.shared, LARGE)),
    )


def frame_reads(manifest: Manifest) -> ReadsSpec:
    """Add up what a frame reads of weights: talker once, code predictor for each codebook."""
    if FRAME in manifest.graphs:
        return manifest.graph(FRAME).reads
    predictor = manifest.graph(PREDICTOR_STEP).reads
    return manifest.graph(TALKER_STEP).reads + predictor.repeated(manifest.codebooks)
