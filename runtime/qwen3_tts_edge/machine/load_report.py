"""What people heard of a server under load, in numbers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qwen3_tts_edge.machine.asking import Answer
from qwen3_tts_edge.machine.load import Load, Progress
from qwen3_tts_edge.version import VERSION

BUFFER = 0.1
"""Seconds by which a player holds its first sample back; services are compared at that."""


@dataclass(frozen=True)
class LoadReport:
    """What was measured, of the requests that count; None where there is nothing to measure.

    Attributes:
        streams, rate, seconds, think, playback: As in `Load`.
        requests: That were sent.
        ok, rejected, cut, error: What came of them.
        statuses: Of those that were rejected, or errors; "0" is no answer.
        most: Requests under way at once, at the most.
        ttfa_ms: p50, p95 and p99 from sending to the first sample that can be played, connecting
            included, `lag_ms` not.
        lag_ms: From when a request was due to when it was sent: this program's own lateness.
        rtf: Seconds from sending to the last sample for a second of sound, p50 and p95.
        underruns: Of those with sound, the share in which a player was silent that begins with the
            first sample.
        underruns_buffered: And one that begins `BUFFER` seconds later.
        silence: The worst such player's seconds of silence.
        silence_buffered: Likewise with the buffer.
        sound_a_second: Seconds of sound, for each second from the first request to the last sample.
    """

    streams: int | None
    rate: float | None
    seconds: float
    think: float
    playback: bool
    requests: int
    ok: int
    rejected: int
    cut: int
    error: int
    statuses: dict[str, int]
    most: int
    ttfa_ms: dict[str, float] | None
    lag_ms: dict[str, float] | None
    rtf: dict[str, float] | None
    underruns: float | None
    underruns_buffered: float | None
    silence: float | None
    silence_buffered: float | None
    sound_a_second: float | None
    version: str = VERSION

    @classmethod
    def of(cls, load: Load, answers: Sequence[Answer], progress: Progress) -> "LoadReport":
        """Put the answers of a run together."""
        heard = [each for each in answers if each.player.first is not None]
        whole = [each for each in answers if each.outcome == "ok"]
        outcomes = Counter(each.outcome for each in answers)
        unheard = (each for each in answers if each.status != 200)
        late = [each.player.late for each in heard]
        return cls(
            streams=load.streams,
            rate=load.rate,
            seconds=load.seconds,
            think=load.think,
            playback=load.playback,
            requests=len(answers),
            ok=outcomes["ok"],
            rejected=outcomes["rejected"],
            cut=outcomes["cut"],
            error=outcomes["error"],
            statuses=dict(Counter(str(each.status) for each in unheard)),
            most=progress.most,
            ttfa_ms=_ms((each.player.first or 0.0) - each.sent for each in heard),
            lag_ms=_ms(each.sent - each.due for each in answers),
            rtf=_quantiles(
                ((each.player.last - each.sent) / each.player.seconds for each in whole), 3
            ),
            underruns=_share(late, 0.0),
            underruns_buffered=_share(late, BUFFER),
            silence=round(max(late), 3) if late else None,
            silence_buffered=round(max(0.0, max(late) - BUFFER), 3) if late else None,
            sound_a_second=_sound_a_second(heard),
        )

    def rows(self) -> Iterator[tuple[str, str]]:
        """For people: what, and the numbers."""
        kept_back = f"player with {1e3 * BUFFER:.0f} ms of buffer"
        yield "requests", f"{self.requests}, {self.most} at once at the most"
        yield (
            "spoken, rejected, cut, errors",
            f"{self.ok}, {self.rejected}, {self.cut}, {self.error}",
        )
        if self.statuses:
            yield (
                "statuses",
                ", ".join(f"{count} × {name}" for name, count in self.statuses.items()),
            )
        yield "time to first audio, ms", _said(self.ttfa_ms)
        yield "  sent late by (not included), ms", _said(self.lag_ms)
        yield "real-time factor", _said(self.rtf)
        yield "player without a buffer", _silent(self.underruns, self.silence)
        yield kept_back, _silent(self.underruns_buffered, self.silence_buffered)
        yield "sound a second, s", str(self.sound_a_second or "–")


def _ms(seconds: Iterable[float]) -> dict[str, float] | None:
    return _quantiles((1e3 * each for each in seconds), 1)


def _quantiles(values: Iterable[float], digits: int) -> dict[str, float] | None:
    numbers = list(values)
    if not numbers:
        return None
    return {f"p{q}": round(float(np.percentile(numbers, q)), digits) for q in (50, 95, 99)}


def _share(late: Sequence[float], buffer: float) -> float | None:
    return round(sum(each > buffer for each in late) / len(late), 4) if late else None


def _sound_a_second(heard: Sequence[Answer]) -> float | None:
    if not heard:
        return None
    took = max(each.player.last for each in heard) - min(each.sent for each in heard)
    return round(sum(each.player.seconds for each in heard) / took, 2)


def _said(quantiles: dict[str, float] | None) -> str:
    if quantiles is None:
        return "–"
    return ", ".join(f"{name} {value:g}" for name, value in quantiles.items())


def _silent(share: float | None, worst: float | None) -> str:
    if share is None:
        return "–"
    return f"{share:.1%} of streams ran dry, the worst for {worst:g} s"
