"""Where the time of an utterance goes: the rooms of the house, timed."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Metrics:
    """Times of one utterance, in seconds. Filled while it is spoken.

    Attributes:
        sample_rate: Of the samples.
        prompt: Tokenizing the text and building the prompt.
        frames: Each frame: talker, code predictor, sampling. The first also reads the prompt.
        codec: Each chunk through the codec decoder, with its number of frames.
        launches: The part of all this that was spent inside graphs.
        ttfa: Request to first samples in the caller's hand; None before.
        total: All work, the caller's own time between chunks left out.
        samples: How many were made.
        ended: Whether speech ended by itself; None before the end, False when a limit cut it.
        ran_away: What cut it was that it went on for several times as long as its text takes.
        attempts: Seeds it was begun with until it ended. Times are those of the last.
    """

    sample_rate: int
    prompt: float = 0.0
    frames: list[float] = field(default_factory=list)
    codec: list[tuple[float, int]] = field(default_factory=list)
    launches: float = 0.0
    ttfa: float | None = None
    total: float = 0.0
    samples: int = 0
    ended: bool | None = None
    ran_away: bool = False
    attempts: int = 1

    @property
    def audio(self) -> float:
        """Seconds of sound made."""
        return self.samples / self.sample_rate

    @property
    def rtf(self) -> float:
        """Real-time factor: seconds of work for a second of sound. Lower is better."""
        return self.total / self.audio if self.samples else float("inf")

    @property
    def host(self) -> float:
        """Seconds spent outside graphs: Python, numpy, tokenizing, copying."""
        return self.total - self.launches


def timed(items: Iterable[T], into: list[float]) -> Iterator[T]:
    """Pass items on, noting how long each took to make."""
    start = time.perf_counter()
    for item in items:
        into.append(time.perf_counter() - start)
        yield item
        start = time.perf_counter()
