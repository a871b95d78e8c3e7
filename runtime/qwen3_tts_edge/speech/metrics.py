"""Where the time of a request goes, and how its speech ended."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from typing_extensions import Self


@dataclass
class Metrics:
    """Times of one request, in seconds. Filled while it is spoken.

    Attributes:
        sample_rate: Of the samples.
        prompt: Tokenizing the text and building prompts.
        frames: Each frame's launch, shared with whoever else speaks: talker, code predictor,
            sampling. The first also reads the prompt.
        codec: Each chunk through the codec decoder, with its number of frames.
        launches: The part of all this that was spent inside graphs. Of a text that is spoken whole
            the codec decodes beside the frames, and where both run both count.
        ttfa: Request to first samples in the caller's hand; None before.
        total: All work, the caller's own time between chunks left out.
        samples: How many were made.
        ended: Whether speech ended by itself; None before the end, False when a limit cut it.
        cut: Which limit did, see `patience.Limit`.
        too_short: It ended before its text can have been spoken.
        attempts: Seeds that were tried until it was neither cut short nor ran away.
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
    cut: str | None = None
    too_short: bool = False
    attempts: int = 1

    @property
    def ran_away(self) -> bool:
        """Whether it was cut because it went on for several times as long as its text takes."""
        return self.cut == "patience"

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
        """Seconds spent outside graphs, at least: Python, numpy, tokenizing, copying."""
        return max(0.0, self.total - self.launches)

    @classmethod
    def of(cls, parts: Iterable[Self]) -> Self:
        """Add up those of the pieces of one text, which were spoken in this order."""
        first, *others = parts
        whole = replace(first, frames=[*first.frames], codec=[*first.codec])
        for part in others:
            whole._add(part)
        return whole

    def _add(self, part: Self) -> None:
        self.frames += part.frames
        self.codec += part.codec
        for name in ("prompt", "launches", "total", "samples"):
            setattr(self, name, getattr(self, name) + getattr(part, name))
        self.ended = None if None in (self.ended, part.ended) else self.ended and part.ended
        self.cut = self.cut or part.cut
        self.too_short = self.too_short or part.too_short
        self.attempts = max(self.attempts, part.attempts)
