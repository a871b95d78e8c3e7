"""How fast a bundle speaks on this machine: latency, time a frame by room, memory."""

import os
import platform
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from qwen3_tts_edge.arrays import Codes
from qwen3_tts_edge.backends import ON_THE_CPU
from qwen3_tts_edge.errors import BackendError
from qwen3_tts_edge.machine.bandwidth import cpu_bandwidth, gpu_bandwidth
from qwen3_tts_edge.machine.hardware import cpu_name, installed
from qwen3_tts_edge.machine.roofline import roofline
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.prompt import Prompt
from qwen3_tts_edge.speech.slots import Pending, Slots
from qwen3_tts_edge.speech.stream import RAMP
from qwen3_tts_edge.synthesizer import Synthesizer
from qwen3_tts_edge.version import VERSION
from qwen3_tts_edge.voices.matching import any_voice

TEXT = "The train to the coast leaves at seven, and the last one back is just before midnight."
CODEC_CHUNKS = (1, 4)
CONTEXTS = (200, 2000)
BATCHES = (2, 4, 8)
_FRAMES = 12


@dataclass(frozen=True)
class Bench:
    """What was measured; times in milliseconds, medians unless a name says otherwise.

    Attributes:
        ttfa_p50_ms: Request to first samples, first chunk of one frame.
        ttfa_p95_ms: Likewise, the slow end.
        frame_ms: One launch of talker and code predictor.
        codec_ms: A frame in the codec, by frames a chunk.
        host_ms: All else a frame costs: Python, draws, copies.
        context_ms: A frame launch by how many positions the KV cache holds.
        batch_ms: A frame launch by how many slots it makes a frame for.
        floor_ms: The least time that a launch can take here for one slot, see `roofline.py`; None
            where the memory of the GPU cannot be measured.
        rtf: Seconds of work for a second of sound, with the usual ramp of chunks.
        peak_rss_mb: The most memory this process ever had.
    """

    checkpoint: str
    precision: str
    backend: str
    threads: int | None
    runs: int
    ttfa_p50_ms: float
    ttfa_p95_ms: float
    frame_ms: float
    codec_ms: dict[int, float]
    host_ms: float
    context_ms: dict[int, float]
    batch_ms: dict[int, float]
    floor_ms: float | None
    rtf: float
    peak_rss_mb: float
    machine: str
    versions: dict[str, str]

    def rows(self) -> Iterator[tuple[str, str]]:
        """For people: what, and the numbers."""
        yield "time to first audio, p50", f"{self.ttfa_p50_ms:>10} ms"
        yield "time to first audio, p95", f"{self.ttfa_p95_ms:>10} ms"
        yield "talker + code predictor", f"{self.frame_ms:>10} ms/frame"
        if self.floor_ms is not None:
            times = round(self.frame_ms / self.floor_ms, 2)
            yield "", f"{times:>10} times the bandwidth floor of {self.floor_ms} ms"
        for size, took in self.codec_ms.items():
            yield f"codec, {size} frame{'s' * (size > 1)} a chunk", f"{took:>10} ms/frame"
        yield "host", f"{self.host_ms:>10} ms/frame"
        for positions, took in self.context_ms.items():
            yield f"talker + predictor at {positions}", f"{took:>10} ms/frame"
        for slots, took in self.batch_ms.items():
            yield f"talker + predictor, {slots} slots", f"{took:>10} ms/launch"
        yield "real-time factor", f"{self.rtf:>10}"
        yield "peak memory", f"{self.peak_rss_mb:>10} MB"


def measure(
    tts: Synthesizer,
    *,
    runs: int = 10,
    seconds: float = 4.0,
    threads: int | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Measure a bundle: two warm-up runs, then `runs` counted ones, all with fixed seeds.

    Args:
        tts: The opened bundle.
        runs: Utterances to measure.
        seconds: Length at which each is cut.
        threads: What the bundle was opened with.
        report: Called with what is being measured.
    """
    report("utterances")
    spoken = [_speak(tts, RAMP, seconds, seed) for seed in range(-2, runs)][2:]
    ttfa = [metrics.ttfa or 0.0 for metrics in spoken]
    codec = {}
    for size in CODEC_CHUNKS:
        report(f"codec, {size} frames a chunk")
        runs_of_codec = [_speak(tts, (size,), seconds, seed).codec for seed in range(3)]
        codec[size] = statistics.median(
            took / count for run in runs_of_codec for took, count in run[1:] if count == size
        )
    peak = peak_rss()  # before the long prompts below, which are no everyday use
    contexts = {}
    for positions in CONTEXTS:
        if positions + _FRAMES < tts.frame_graph.capacity:
            report(f"{positions} positions of context")
            contexts[positions] = statistics.median(launches(tts, [prompt_of(tts, positions)]))
    report("batches")
    batches = {
        slots: statistics.median(launches(tts, [prompt_of(tts)] * slots)) for slots in BATCHES
    }
    report("memory")
    floor = _floor(tts, threads)
    return Bench(
        checkpoint=tts.manifest.checkpoint.name,
        precision=tts.manifest.precision,
        backend=tts.backend,
        threads=threads,
        runs=runs,
        ttfa_p50_ms=_ms(statistics.median(ttfa)),
        ttfa_p95_ms=_ms(float(np.quantile(ttfa, 0.95))),
        frame_ms=_ms(statistics.median(t for m in spoken for t in m.frames[1:])),
        codec_ms={size: _ms(took) for size, took in codec.items()},
        host_ms=_ms(statistics.median(m.host / len(m.frames) for m in spoken)),
        context_ms={size: _ms(took) for size, took in contexts.items()},
        batch_ms={slots: _ms(took) for slots, took in batches.items()},
        floor_ms=None if floor is None else round(floor, 2),
        rtf=round(statistics.median(m.rtf for m in spoken), 3),
        peak_rss_mb=round(peak / 1e6, 1),
        machine=f"{cpu_name()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        versions={"qwen3-tts-edge": VERSION, "numpy": np.__version__} | installed(),
    )


def _speak(tts: Synthesizer, chunk_frames: tuple[int, ...], seconds: float, seed: int) -> Metrics:
    spoken = list(
        tts.stream(
            TEXT,
            any_voice(tts.manifest),
            chunk_frames=chunk_frames,
            max_seconds=seconds,
            seed=seed % 2**32,
        )
    )
    return spoken[-1].metrics


def prompt_of(tts: Synthesizer, positions: int | None = None) -> Prompt:
    """Build the prompt of `TEXT`; where `positions` is given, repeat or cut its rows to fit."""
    prompt = tts.prompts.build(TEXT, any_voice(tts.manifest))
    if positions is None:
        return prompt
    rows = np.resize(prompt.rows, (positions, prompt.rows.shape[1]))
    return replace(prompt, rows=rows)


def frames_of(slots: Slots, prompts: Sequence[Prompt], limit: int) -> Iterator[Codes]:
    """Make frames after prompts, one a slot, with fixed seeds, whether they end or not.

    Args:
        slots: Free ones, which are free again at the end.
        prompts: No more than there are slots.
        limit: How many frames.

    Yields:
        int64 (prompts, codebooks) a frame.
    """
    settings = slots.manifest.sampling
    first: list[Codes] = []
    for seed, prompt in enumerate(prompts):
        slots.join(settings, seed)
        first.append(slots.read(prompt.rows)())
    yield np.concatenate(first)
    waiting: deque[Pending] = deque()
    for frame in range(limit - 1):
        waiting.append(slots.step([prompt.text_row(frame) for prompt in prompts]))
        if len(waiting) > slots.ahead:
            yield waiting.popleft()()
    for wait in waiting:
        yield wait()
    slots.clear()


def launches(tts: Synthesizer, prompts: Sequence[Prompt]) -> list[float]:
    """Time frames, in seconds each, without the first, which reads the prompts."""
    slots = Slots(tts.frame_graph, tts.manifest, len(prompts))
    return timed(frames_of(slots, prompts, _FRAMES))[1:]


def timed(items: Iterable[object]) -> list[float]:
    """Time how long each item takes to make."""
    took = []
    start = time.perf_counter()
    for _ in items:
        took.append(time.perf_counter() - start)
        start = time.perf_counter()
    return took


def _floor(tts: Synthesizer, threads: int | None) -> float | None:
    on_the_cpu = tts.backend in ON_THE_CPU
    bandwidth = partial(cpu_bandwidth, threads=threads) if on_the_cpu else gpu_bandwidth
    try:
        return roofline(tts.manifest, bandwidth).floor_ms
    except BackendError:
        return None


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 2)


def peak_rss() -> int:
    """Give the most memory this process ever had, in bytes; 0 on Windows, which is not asked."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # elsewhere in kilobytes
