"""What is counted, for Prometheus. No text, no voice and no key is in a name or a label."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from qwen3_tts_edge.sound.player import Player

T = TypeVar("T")
_SECONDS = (
    0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1, 2, 5, 10, 20, 30, 60,
    120, 300,
)  # fmt: skip
_RTF = (0.1, 0.25, 0.5, 0.75, 0.9, 1, 1.25, 1.5, 2, 5, 10)


class _Total(Collector):
    """A counter that has the name of a histogram and `_total`, which `Counter` does not allow."""

    def __init__(
        self, name: str, about: str, *, namespace: str, registry: CollectorRegistry
    ) -> None:
        self._name, self._about, self._value = f"{namespace}_{name}", about, 0.0
        registry.register(self)

    def inc(self, amount: float) -> None:
        self._value += amount

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._about, value=self._value)


class Metrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def ours(kind: Callable[..., T]) -> Callable[..., T]:
            return partial(kind, namespace="qwen3_tts", registry=self.registry)

        gauge, counter, histogram = ours(Gauge), ours(Counter), ours(Histogram)
        self.running = gauge("requests_running", "Requests that speak.")
        self.waiting = gauge("requests_waiting", "Requests that wait for a place.")
        self.streams = gauge("streams_open", "Open requests.", ["transport"])
        self.requests = counter(
            "requests",
            "Requests that are over: ok, cancelled by their client, rejected, or error.",
            ["transport", "outcome"],
        )
        self.ttfa = histogram(
            "time_to_first_audio_seconds",
            "From a request's arrival at admission to its first samples handed to the socket.",
            buckets=_SECONDS,
        )
        self.queue = histogram(
            "queue_seconds", "From arrival to a place to speak.", buckets=_SECONDS
        )
        self.request = histogram(
            "request_seconds", "From arrival to the last samples.", buckets=_SECONDS
        )
        self.audio = histogram("audio_seconds", "Sound of a request.", buckets=_SECONDS[5:])
        self.rtf = histogram(
            "real_time_factor", "Seconds of a request for a second of its sound.",
            buckets=_RTF,
        )  # fmt: skip
        self.underrun = histogram(
            "underrun_seconds",
            "The longest that a player without a buffer had to wait for sound, a request.",
            buckets=(0.001, *_SECONDS),
        )
        self.audio_made = ours(_Total)("audio_seconds", "Sound handed to sockets.")
        self.frames = counter("frames", "Frames of 80 ms that were made.")
        self.runaway = counter("runaway", "Utterances that never said their end.")

    def arrived(self, transport: str) -> "Record":
        """Begin the record of a request."""
        return Record(self, transport)

    def text(self) -> bytes:
        """Write all of it in Prometheus' text format."""
        return generate_latest(self.registry)


class Record:
    """The times of one request, noted as it goes."""

    def __init__(self, metrics: Metrics, transport: str) -> None:
        self._metrics, self._transport = metrics, transport
        self._arrived = time.monotonic()
        self._player = Player()
        self._ended = False
        metrics.streams.labels(transport).inc()

    def admitted(self) -> None:
        """Note that it may speak now."""
        self._metrics.queue.observe(time.monotonic() - self._arrived)

    def sound(self, seconds: float) -> None:
        """Note that so much sound is handed on."""
        unheard = self._player.first is None
        self._player.hear(seconds, time.monotonic())
        if unheard and self._player.first is not None:
            self._metrics.ttfa.observe(self._player.first - self._arrived)
        self._metrics.audio_made.inc(seconds)

    def end(self, outcome: str, frames: int = 0, runaways: int = 0) -> None:
        """Note how it ended: ok, cancelled, rejected or error."""
        if self._ended:
            return
        self._ended = True
        self._metrics.streams.labels(self._transport).dec()
        self._metrics.requests.labels(self._transport, outcome).inc()
        self._metrics.frames.inc(frames)
        self._metrics.runaway.inc(runaways)
        if outcome == "ok" and self._player.seconds:
            took = time.monotonic() - self._arrived
            self._metrics.request.observe(took)
            self._metrics.audio.observe(self._player.seconds)
            self._metrics.rtf.observe(took / self._player.seconds)
            self._metrics.underrun.observe(self._player.late)
