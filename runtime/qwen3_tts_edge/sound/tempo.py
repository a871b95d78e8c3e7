"""Speech slower or faster at the same pitch, through FFmpeg's `atempo`."""

import math
from fractions import Fraction

import numpy as np

from qwen3_tts_edge.arrays import Samples

SPEEDS = (0.25, 4.0)
"""The slowest and the fastest, times the speed of the speech as it is."""

_BLOCK = 480
"""Samples that the filter gets at once. Its own cuts follow its input's: so they never change."""


class Tempo:
    """See `encoding.Change`: n samples become round(n / speed)."""

    def __init__(self, speed: float, sample_rate: int) -> None:
        import av.filter

        self._speed, self._rate = speed, sample_rate
        self._graph = av.filter.Graph()
        last = self._graph.add_abuffer(sample_rate=sample_rate, format="flt", layout="mono")
        # One filter goes from half to twice the speed; further it leaves speech out.
        steps = max(1, math.ceil(abs(math.log2(speed))))
        for _ in range(steps):
            step = self._graph.add("atempo", repr(speed ** (1 / steps)))
            last.link_to(step)
            last = step
        last.link_to(self._graph.add("abuffersink"))
        self._graph.configure()
        self._rest = np.zeros(0, np.float32)
        self._taken = self._pushed = self._made = 0

    def feed(self, samples: Samples) -> Samples:
        """Take float32 (n,), and give what can be said of it already."""
        self._taken += len(samples)
        return self._stretched(samples)

    def finish(self) -> Samples:
        """Give the rest: silence follows, until what was said is through the filter."""
        due = round(self._taken / self._speed)
        pieces = [np.zeros(0, np.float32)]
        while self._made < due:
            pieces.append(self._stretched(np.zeros(_BLOCK, np.float32)))
        rest = np.concatenate(pieces)
        return rest[: len(rest) - (self._made - due)]

    def _stretched(self, samples: Samples) -> Samples:
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) // _BLOCK * _BLOCK
        self._rest = waiting[whole:]
        made = [np.zeros(0, np.float32)]
        for block in waiting[:whole].reshape(-1, _BLOCK):
            self._push(block)
            made += self._pulled()
        stretched = np.concatenate(made)
        self._made += len(stretched)
        return stretched

    def _push(self, block: Samples) -> None:
        import av

        frame = av.AudioFrame.from_ndarray(block[None], "flt", "mono")
        frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
        frame.pts = self._pushed
        self._pushed += _BLOCK
        self._graph.push(frame)

    def _pulled(self) -> list[Samples]:
        from av.error import BlockingIOError as NoneYet

        pulled: list[Samples] = []
        while True:
            try:
                frame = self._graph.pull()
            except NoneYet:
                return pulled
            pulled.append(frame.to_ndarray().reshape(-1).astype(np.float32, copy=False))
