"""One piece of a text that is wanted whole, spoken until it is right."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.codec.decoder import FRAMES_AT_ONCE
from qwen3_tts_edge.speech.chunk import Audio
from qwen3_tts_edge.speech.decoding import Decoding
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.patience import other_seeds
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.scheduler import Scheduler
from qwen3_tts_edge.speech.utterance import Tools, Utterance
from qwen3_tts_edge.text.pieces import Piece


class SpokenPiece:
    """A piece of a text while it is spoken, and as often as it takes.

    What has run away or ended too early is begun anew with the next seed, but where the request
    says how long it may last.

    Attributes:
        audio: The whole, once it is right.
    """

    def __init__(self, tools: Tools, scheduler: Scheduler, request: Request, piece: Piece) -> None:
        assert request.seed is not None
        self._tools, self._scheduler, self._piece = tools, scheduler, piece
        self._request = request
        self._others: Iterator[int] = iter(())
        if request.max_seconds is None:
            self._others = other_seeds(request.seed, tools.settings(request))
        self._attempts = 0
        self.audio: Audio | None = None
        self._begin(request)

    def _begin(self, request: Request) -> None:
        assert request.seed is not None
        self.seed = request.seed
        self._attempts += 1
        self._samples: list[Samples] = []
        self._decoding: Decoding | None = None
        self._metrics = Metrics(self._tools.bundle.manifest.sample_rate, attempts=self._attempts)
        self._spoken = Utterance(
            self._tools, request, self._metrics, (FRAMES_AT_ONCE,), rests=False
        )
        self._spoken.feed(self._piece.text, ended=True)
        self._scheduler.add(self._spoken)

    def decode(self) -> None:
        """Begin to decode what has been spoken, which goes on beside other pieces and frames."""
        if self.audio is not None:
            return
        if self._decoding is not None and self._decoding.done:
            self._samples.append(self._decoding.chunk().samples)
            self._decoding = None
        if self._decoding is None:
            self._decoding = self._spoken.chunk()

    def listen(self) -> None:
        """Take the whole, once it is spoken."""
        if self.audio is not None or not self._spoken.over:
            return
        while self._decoding is not None:
            self._samples.append(self._decoding.chunk().samples)
            self._decoding = self._spoken.chunk()
        wrong = self._spoken.too_short or self._spoken.cut == "patience"
        seed = next(self._others, None) if wrong else None
        if seed is not None:
            self._begin(replace(self._request, seed=seed))
            return
        pause = np.zeros(round(self._piece.pause * self._metrics.sample_rate), np.float32)
        samples = np.concatenate([*self._samples, pause])
        self._metrics.samples = len(samples)
        self.audio = Audio(
            samples, self._spoken.codes, self._metrics.sample_rate, self.seed, self._metrics
        )

    def ask(self) -> None:
        """Note that this thread asks for it."""
        self._spoken.reader = threading.current_thread()

    def wait(self) -> None:
        """Wait for others to go on, as `Scheduler.wait` says."""
        self._scheduler.wait(self._spoken)

    def close(self) -> None:
        """Let nobody speak it any more."""
        self._spoken.closed = True
