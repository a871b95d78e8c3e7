"""Speech that begins while others speak: first audio of each kind of voice, sound by slots."""

import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.names import BASE
from qwen3_tts_edge.machine.bench import TEXT
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.stream import Stream
from qwen3_tts_edge.synthesizer import Synthesizer
from qwen3_tts_edge.voices.matching import any_voice
from qwen3_tts_edge.voices.voice import Clone, Voice

SLOTS = (1, 2, 4, 8)
STREAMS = 16
REFERENCE_SECONDS = 10.0

Opener = Callable[[int], Synthesizer]
"""Opens the bundle with so many slots."""


@dataclass(frozen=True)
class Arrivals:
    """What was measured.

    Attributes:
        first_audio_ms: By kind of voice: the `first` time in this process, `p50` and `p95` of later
            times, when its opening has been read.
        batch: Seconds of sound a second that `speak_batch` makes, by slots.
        at_random: Likewise of streams that arrive at random, on average in half the time in which
            the batch spoke them, and are read chunk by chunk.
    """

    checkpoint: str
    precision: str
    backend: str
    threads: int | None
    streams: int
    seconds: float
    first_audio_ms: dict[str, dict[str, float]]
    batch: dict[int, float]
    at_random: dict[int, float]

    def rows(self) -> Iterator[tuple[str, str]]:
        """For people: what, and the numbers."""
        for kind, took in self.first_audio_ms.items():
            said = ", ".join(f"{name} {value:g}" for name, value in took.items())
            yield f"first audio, {kind}, ms", said
        slots = " / ".join(map(str, self.batch))
        yield f"slots {slots}", "seconds of sound a second"
        yield "speak_batch", " / ".join(f"{value:.2f}" for value in self.batch.values())
        yield "at random", " / ".join(f"{value:.2f}" for value in self.at_random.values())


def measure_arrivals(
    opener: Opener,
    *,
    runs: int,
    seconds: float,
    threads: int | None,
    report: Callable[[str], None],
) -> Arrivals:
    """Measure a bundle, with fixed seeds and `STREAMS` texts that are cut.

    Args:
        opener: Opens it.
        runs: Times that first audio is measured again.
        seconds: Where texts are cut.
        threads: What it is opened with.
        report: Called with what is being measured.
    """
    tts = opener(SLOTS[0])
    first = {}
    for kind, voice in _voices(tts):
        report(f"first audio, {kind}")
        first[kind] = _first_audio(tts, voice, runs)
    batch, at_random = {}, {}
    for slots in SLOTS:
        report(f"{slots} slots")
        tts = opener(slots)
        _batch(tts, seconds, slots)  # warms up
        took = _batch(tts, seconds, STREAMS)
        batch[slots] = round(took[1] / took[0], 2)
        took = _at_random(tts, seconds, took[0] / STREAMS / 2)
        at_random[slots] = round(took[1] / took[0], 2)
    checkpoint = tts.manifest.checkpoint.name
    return Arrivals(
        checkpoint,
        tts.manifest.precision,
        tts.backend,
        threads,
        STREAMS,
        seconds,
        first,
        batch,
        at_random,
    )


def _voices(tts: Synthesizer) -> Iterator[tuple[str, Voice | None]]:
    voice = any_voice(tts.manifest)
    if tts.manifest.checkpoint.model_type == BASE:
        yield "clone by its sound", voice
        yield f"clone of {REFERENCE_SECONDS:g} s in context", _in_context(tts.manifest)
    else:
        yield "named speaker" if tts.speakers else "designed voice", voice


def _in_context(manifest: Manifest) -> Voice:
    """A clone of codes that are no speech: what it costs does not depend on them."""
    frames = round(REFERENCE_SECONDS * manifest.frames_per_second)
    shape = (frames, manifest.codebooks)
    codes = np.random.default_rng(0).integers(0, manifest.codebook_size, shape)
    return Clone(np.zeros(manifest.hidden_size, np.float32), codes, f"{TEXT} {TEXT}")


def _first_audio(tts: Synthesizer, voice: Voice | None, runs: int) -> dict[str, float]:
    took = []
    for seed in range(runs + 1):
        start = time.perf_counter()
        stream = tts.stream(TEXT, voice, seed=seed)
        next(stream)
        took.append(1e3 * (time.perf_counter() - start))
        stream.close()
        tts.step()  # the slot is free when the next begins
    first, *later = took
    return {
        "first": round(first, 1),
        "p50": round(statistics.median(later), 1),
        "p95": round(float(np.quantile(later, 0.95)), 1),
    }


def _batch(tts: Synthesizer, seconds: float, count: int) -> tuple[float, float]:
    """Speak texts in one batch; return how long that took, and of how much sound."""
    voice = any_voice(tts.manifest)
    asked = [Request(TEXT, voice, seed=seed, max_seconds=seconds) for seed in range(count)]
    start = time.perf_counter()
    spoken = tts.speak_batch(asked)
    return time.perf_counter() - start, sum(each.metrics.audio for each in spoken)


def _at_random(tts: Synthesizer, seconds: float, gap: float) -> tuple[float, float]:
    """Speak as many texts that come one by one, so many seconds apart on average; likewise."""
    chance, voice = random.Random(0), any_voice(tts.manifest)
    due = list(accumulate(chance.expovariate(1 / gap) for _ in range(STREAMS)))
    speaking: list[Stream] = []
    sound, start = 0.0, time.perf_counter()
    while due or speaking:
        while due and time.perf_counter() - start >= due[0]:
            seed = STREAMS - len(due)
            speaking.append(tts.stream(TEXT, voice, seed=seed, max_seconds=seconds))
            del due[0]
        moved = tts.step()
        for stream in speaking:
            while (chunk := stream.take()) is not None:
                sound += len(chunk.samples) / chunk.sample_rate
        speaking = [stream for stream in speaking if not stream.over]
        if not moved and not speaking and due:
            time.sleep(max(0.0, due[0] - (time.perf_counter() - start)))
    return time.perf_counter() - start, sound
