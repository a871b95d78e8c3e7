"""Two bundles in one process that take turns, launch by launch.

Whatever else the machine does slows both alike: their ratio holds where the times of two runs, one
after the other, could not be compared.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from qwen3_tts_edge.arrays import Codes, Samples
from qwen3_tts_edge.bundle.memory import frame_limit
from qwen3_tts_edge.machine.bench import frames_of, prompt_of
from qwen3_tts_edge.speech.slots import Slots
from qwen3_tts_edge.synthesizer import Synthesizer

CODEC_CHUNKS = (1, 4, 8)

Work = Callable[[Synthesizer], Iterator[object]]
"""Makes an item for each launch; the first one also begins."""


@dataclass(frozen=True)
class Times:
    """Milliseconds a frame; or ratios of them."""

    median: float
    best: float

    def over(self, other: "Times") -> "Times":
        """Divide by other times."""
        return Times(round(self.median / other.median, 3), round(self.best / other.best, 3))


@dataclass(frozen=True)
class InTurns:
    """What was measured.

    Attributes:
        bundle: Which it is: its folder, checkpoint, precision and backend.
        against: Likewise, of the other.
        frames: That each made in each of `runs` runs.
        bundle_ms: By room.
        against_ms: Likewise, of the other.
        ratio: The bundle's times over the other's.
    """

    bundle: Mapping[str, str]
    against: Mapping[str, str]
    threads: int | None
    runs: int
    frames: int
    bundle_ms: Mapping[str, Times]
    against_ms: Mapping[str, Times]
    ratio: Mapping[str, Times]

    def rows(self) -> Iterator[tuple[str, str]]:
        """For people: what, and the numbers."""
        yield "bundle", ", ".join(self.bundle.values())
        yield "against", ", ".join(self.against.values())
        heads = ("bundle", "best", "against", "best", "ratio", "best")
        yield "ms/frame: median, best", "".join(f"{head:>9}" for head in heads)
        for room in self.ratio:
            times = (self.bundle_ms[room], self.against_ms[room], self.ratio[room])
            numbers = (number for each in times for number in (each.median, each.best))
            yield room, "".join(f"{number:>9.2f}" for number in numbers)


def measure_in_turns(
    bundle: Synthesizer,
    against: Synthesizer,
    *,
    runs: int,
    seconds: float,
    threads: int | None,
    report: Callable[[str], None],
) -> InTurns:
    """Measure two bundles, with the same text, seeds and number of frames.

    Args:
        bundle: The one.
        against: The other.
        runs: How often everything is measured, after a first time that does not count.
        seconds: Of speech in each run.
        threads: What both were opened with.
        report: Called with what is being measured.

    Raises:
        CapacityError: One of the two cannot speak for so long.
    """
    both = (bundle, against)
    frames = max(2, min(_frames(tts, seconds) for tts in both))
    rooms: dict[str, tuple[int, Work]] = {
        "talker + code predictor": (1, partial(_speak, frames=frames)),
    }
    for size in CODEC_CHUNKS:
        name = f"codec, {size} frame{'s' * (size > 1)} a chunk"
        rooms[name] = (size, partial(_decode, chunks=max(2, frames // size), size=size))
    times: dict[str, list[Times]] = {}
    for room, (size, work) in rooms.items():
        report(room)
        took = [in_turns(work(bundle), work(against)) for _ in range(runs + 1)][1:]
        times[room] = [_times([run[side] for run in took], size) for side in range(2)]
    return InTurns(
        _named(bundle),
        _named(against),
        threads,
        runs,
        frames,
        bundle_ms={room: ours for room, (ours, _) in times.items()},
        against_ms={room: theirs for room, (_, theirs) in times.items()},
        ratio={room: ours.over(theirs) for room, (ours, theirs) in times.items()},
    )


def in_turns(*works: Iterator[object]) -> list[list[float]]:
    """Time in seconds how long each item but the first takes to make: one of each work, and again.

    Ends with the shortest of the works.
    """
    took: list[list[float]] = [[] for _ in works]
    while True:
        for work, times in zip(works, took, strict=True):
            start = time.perf_counter()
            try:
                next(work)
            except StopIteration:
                return [each[1:] for each in took]
            times.append(time.perf_counter() - start)


def _times(runs: Sequence[Sequence[float]], size: int) -> Times:
    took = [1e3 * seconds / size for run in runs for seconds in run]
    return Times(round(statistics.median(took), 2), round(min(took), 2))


def _frames(tts: Synthesizer, seconds: float) -> int:
    positions = len(prompt_of(tts).rows)
    return frame_limit(tts.manifest, tts.frame_graph.capacity, positions, seconds)


def _speak(tts: Synthesizer, *, frames: int) -> Iterator[Codes]:
    slots = Slots(tts.frame_graph, tts.manifest, 1)
    return frames_of(slots, [prompt_of(tts)], frames)


def _decode(tts: Synthesizer, *, chunks: int, size: int) -> Iterator[Samples]:
    """Decode codes that are no speech: what it costs does not depend on them."""
    shape = (chunks, size, tts.manifest.codebooks)
    stream = tts.decoder.begin()
    for codes in np.random.default_rng(0).integers(0, tts.manifest.codebook_size, shape):
        yield stream.push(codes)


def _named(tts: Synthesizer) -> dict[str, str]:
    manifest = tts.manifest
    return {
        "folder": str(tts.bundle.folder),
        "checkpoint": manifest.checkpoint.name,
        "precision": manifest.precision,
        "backend": tts.backend,
    }
