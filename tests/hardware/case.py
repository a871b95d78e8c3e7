"""One bundle on one backend, opened when a row first needs it."""

import contextlib
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from hardware.record import NOT_RUN, Figures, NotRun, not_run, ran
from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.backends import automatic
from qwen3_tts_edge.bundle.manifest import CODEC, CodecManifest, load_codec
from qwen3_tts_edge.machine.bandwidth import cpu_bandwidth, gpu_bandwidth
from qwen3_tts_edge.machine.roofline import Roofline, roofline

CPU = "ort-cpu"


@dataclass(frozen=True)
class Counts:
    """How much is measured.

    Attributes:
        frames: Launches of each kind, of frames and of codec chunks.
        requests: For the time to first audio.
        sentences: For agreement, of each of the two sets.
    """

    frames: int
    requests: int
    sentences: int


@dataclass
class Case:
    """What rows measure.

    Attributes:
        folder: The bundle.
        backend: Its name, or `auto`.
        threads: CPU threads; None is one per physical core.
        counts: How much.
        references: fp32 bundles for the CPU, one of which may be of the same checkpoint.
    """

    folder: Path
    backend: str
    threads: int | None
    counts: Counts
    references: Sequence[Path] = ()

    def __post_init__(self) -> None:
        self.manifest: CodecManifest = load_codec(self.folder)
        if self.backend == "auto":
            self.backend = automatic(self.manifest.flavour)

    @property
    def subject(self) -> str:
        """What it is called in the record."""
        told = self.manifest
        return f"{told.checkpoint.name} {told.precision} {told.flavour} {self.backend}"

    @property
    def description(self) -> Figures:
        """What it is."""
        told = self.manifest
        return {
            "checkpoint": told.checkpoint.name,
            "precision": told.precision,
            "flavour": told.flavour,
            "backend": self.backend,
            "made_with": dict(told.made_with),
        }

    @property
    def holds_the_codec_alone(self) -> bool:
        """Whether it cannot speak."""
        return self.manifest.checkpoint.model_type == CODEC

    @cached_property
    def tts(self) -> Synthesizer:
        """The bundle, opened."""
        return Synthesizer.open(
            self.folder, backend=self.backend, threads=self.threads, verify=False
        )

    @cached_property
    def roofline(self) -> Roofline:
        """The least time of a frame."""
        on_the_cpu = partial(cpu_bandwidth, threads=self.threads)
        measure = on_the_cpu if self.backend == CPU else gpu_bandwidth
        return roofline(self.tts.manifest, measure)


def ready_for_a_gpu() -> None:
    """Before CUDA starts: products as exact as the backend's, and the libraries PyTorch brings."""
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    with contextlib.suppress(Exception):
        import torch  # noqa: F401


def spread(seconds: Iterable[float]) -> Figures:
    """Milliseconds: half and 95 of 100 took less."""
    took = [1e3 * each for each in seconds]
    if not took:
        raise NotRun("speech ended before anything could be measured")
    return {
        "p50_ms": round(statistics.median(took), 4),
        "p95_ms": round(float(np.quantile(took, 0.95)), 4),
        "count": len(took),
    }


def for_each(sizes: Iterable[int | str], measure: Callable[[Any], Figures]) -> Figures:
    """Figures by size, or why there are none for that size.

    Raises:
        NotRun: There are none for any.
    """
    found = {str(size): attempt(measure, size) for size in sizes}
    if not any(map(ran, found.values())):
        raise NotRun(next(iter(found.values()))[NOT_RUN])
    return found


def attempt(measure: Callable[..., Any], *arguments: Any) -> Any:
    """What it gives, or why it does not."""
    try:
        return measure(*arguments)
    except Exception as error:
        return not_run(error)
