"""Texts that are wanted whole: their pieces spoken side by side, each until it is right."""

import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge.arrays import Samples, is_whole
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.memory import frame_count
from qwen3_tts_edge.codec.decoder import FRAMES_AT_ONCE
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.speech.chunk import Audio
from qwen3_tts_edge.speech.decoding import Decoding
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.patience import other_seeds
from qwen3_tts_edge.speech.pieces import Piece, split
from qwen3_tts_edge.speech.request import Request, checked
from qwen3_tts_edge.speech.scheduler import Scheduler
from qwen3_tts_edge.speech.sentences import check_text
from qwen3_tts_edge.speech.utterance import Tools, Utterance

_AHEAD = 2
"""Pieces that are begun for each slot: one speaks and one is ready to join."""


class Speaking:
    """One piece of a text, spoken until it is right.

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


class Pieces(Iterator[tuple[int, Audio]]):
    """Whole texts while they are spoken, piece by piece: what the caller holds.

    Gives the number of a request and the audio of its next piece, in order; its length is the
    number of pieces, of which `max_seconds` may leave out the last. Whoever asks for a piece moves
    everybody who speaks. When it is closed or forgotten, its slots are free before the next frame.

    Attributes:
        seeds: Of each request, once all of it is given: speaks the same again. A later one than was
            asked for where its only piece was begun anew; of several pieces others were not.
    """

    def __init__(
        self,
        tools: Tools,
        scheduler: Scheduler,
        requests: Sequence[Request],
        *,
        at_once: int | None = None,
    ) -> None:
        """Begin. What was asked for is checked now, before the first piece is asked for.

        Args:
            tools: What utterances are made with.
            scheduler: Where they speak.
            requests: Whole texts.
            at_once: Pieces that speak or wait to; None keeps all slots busy.

        Raises:
            InputError: Something asked for is not to be had; says what is.
            CapacityError: The KV cache is too small for it.
        """
        if at_once is not None and not (is_whole(at_once) and at_once >= 1):
            raise InputError.of("at_once", at_once, "a whole number from 1")
        self._tools, self._scheduler = tools, scheduler
        self._at_once = at_once or _AHEAD * scheduler.most
        self._requests = [_gathered(request.seeded()) for request in requests]
        self.seeds = [request.seed or 0 for request in self._requests]
        self._texts = deque(
            (number, _pieces(tools, request)) for number, request in enumerate(self._requests)
        )
        self._begun = [0] * len(requests)
        self._waiting: deque[tuple[int, Piece]] = deque()
        self._speaking: deque[tuple[int, Speaking]] = deque()
        self._since = [(time.perf_counter(), tools.seconds)] * len(requests)
        manifest = tools.bundle.manifest
        self._left = [
            None if each.max_seconds is None else frame_count(manifest, each.max_seconds)
            for each in requests
        ]
        weakref.finalize(self, _close, self._speaking).atexit = False
        try:
            self._begin()
        except Exception:
            self.close()
            raise

    def __len__(self) -> int:
        """How many pieces there are in all; a long text is cut for it."""
        return self._count

    @cached_property
    def _count(self) -> int:
        return sum(1 for each in self._requests for _ in _pieces(self._tools, each))

    @property
    def over(self) -> bool:
        """Whether there is no further piece."""
        return not (self._waiting or self._speaking)

    def close(self) -> None:
        """End the speech before the next frame."""
        with self._scheduler.lock:
            self._texts.clear()
            self._waiting.clear()
            _close(self._speaking)

    def take(self) -> tuple[int, Audio] | None:
        """Take the next piece if it is spoken, and move nobody.

        For a program that calls `Synthesizer.step` for all who speak.

        Raises:
            Qwen3TTSError: What went wrong with it.
        """
        with self._scheduler.lock:
            for _, each in self._speaking:
                each.decode()
            for _, each in self._speaking:
                each.listen()
            found = None
            if self._speaking and self._speaking[0][1].audio is not None:
                found = self._measured(*self._speaking.popleft())
            self._begin()
        return found

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[int, Audio]:
        """Speak until the next piece is right.

        Raises:
            StopIteration: All is spoken.
            BusyError: All slots are taken by streams that nobody reads.
        """
        try:
            return self._next()
        except BaseException:
            self.close()
            raise

    def _next(self) -> tuple[int, Audio]:
        while True:
            with self._scheduler.lock:  # another thread may close it at any other time
                if (found := self.take()) is not None:
                    return found
                if self.over:
                    raise StopIteration
                for _, each in self._speaking:
                    each.ask()
                _, first = self._speaking[0]
                moved = self._scheduler.step()
            if not moved:
                first.wait()

    def _begin(self) -> None:
        """Let as many pieces speak as may, and know the one behind them."""
        while self._waiting or self._cut():
            if len(self._speaking) == self._at_once:
                return
            number, piece = self._waiting.popleft()
            speaking = Speaking(self._tools, self._scheduler, self._requests[number], piece)
            self._speaking.append((number, speaking))

    def _cut(self) -> bool:
        """Cut the next piece of the texts; return whether there is one."""
        while self._texts:
            number, pieces = self._texts[0]
            if (piece := next(pieces, None)) is not None:
                self._begun[number] += 1
                self._waiting.append((number, piece))
                return True
            self._texts.popleft()
        return False

    def _measured(self, number: int, spoken: Speaking) -> tuple[int, Audio]:
        """Note the time that a piece took, and cut it where its request said so."""
        audio = spoken.audio
        assert audio is not None
        if self._begun[number] == 1:
            self.seeds[number] = audio.seed
        now = (time.perf_counter(), self._tools.seconds)
        audio.metrics.total = audio.metrics.ttfa = now[0] - self._since[number][0]
        audio.metrics.launches = now[1] - self._since[number][1]
        self._since[number] = now
        if (frames := self._left[number]) is None:
            return number, audio
        self._left[number] = left = frames - len(audio.codes)
        if left <= 0:
            self._drop(number)
        return number, _cut(audio, frames, self._tools.bundle.manifest)

    def _drop(self, number: int) -> None:
        """Let nobody speak what is left of a text, after its last second."""
        self._texts = deque(each for each in self._texts if each[0] != number)
        self._waiting = deque(each for each in self._waiting if each[0] != number)
        dropped = deque(each for each in self._speaking if each[0] == number)
        for each in dropped:
            self._speaking.remove(each)
        _close(dropped)


def _close(speaking: deque[tuple[int, Speaking]]) -> None:
    for _, each in speaking:
        each.close()
    speaking.clear()


def _cut(audio: Audio, frames: int, manifest: Manifest) -> Audio:
    """Cut a piece where the seconds that were asked for are over."""
    if frames > len(audio.codes):
        return audio
    samples = audio.samples[: frames * manifest.samples_per_frame]
    metrics = replace(audio.metrics, samples=len(samples), ended=False, cut="asked")
    return replace(audio, samples=samples, codes=audio.codes[:frames], metrics=metrics)


def _gathered(request: Request) -> Request:
    """Put a text together that comes in pieces."""
    text = request.text or ""
    return request if isinstance(text, str) else replace(request, text="".join(map(checked, text)))


def _pieces(tools: Tools, request: Request) -> Iterator[Piece]:
    """Cut a text; find what is wrong with any of it now, and not when it is its turn."""
    text = request.text or ""
    assert isinstance(text, str)
    if not request.verbatim:
        check_text(text)
    tools.bundle.tokenizer.check(text)
    pieces = split(tools.splitter(request), text)
    first = next(pieces)
    Utterance(tools, request, Metrics(0), (1,)).feed(first.text, ended=True)
    return chain((first,), pieces)
