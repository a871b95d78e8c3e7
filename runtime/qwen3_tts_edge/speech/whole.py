"""Texts that are wanted whole: their pieces spoken side by side, each until it is right."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.memory import frame_count
from qwen3_tts_edge.codec.decoder import FRAMES_AT_ONCE
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.speech.chunk import Audio
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.patience import other_seeds
from qwen3_tts_edge.speech.request import Request, checked
from qwen3_tts_edge.speech.scheduler import Scheduler
from qwen3_tts_edge.speech.sentences import Piece, split
from qwen3_tts_edge.speech.utterance import Tools, Utterance

_AHEAD = 2
"""Pieces that are begun for each slot: one speaks and one is ready to join."""


class Pieces(Iterator[tuple[int, Audio]]):
    """An iterator over pieces that knows how many there are in all."""

    def __init__(self, count: int, spoken: Iterator[tuple[int, Audio]]) -> None:
        self._count = count
        self._spoken = spoken

    def __len__(self) -> int:
        return self._count

    def __next__(self) -> tuple[int, Audio]:
        return next(self._spoken)


class Speaking:
    """One piece of a text, spoken until it is right.

    What has run away or ended too early is begun anew with the next seed, but where the request
    says how long it may last.
    """

    def __init__(self, tools: Tools, scheduler: Scheduler, request: Request, piece: Piece) -> None:
        assert request.seed is not None
        self._tools, self._scheduler, self._piece = tools, scheduler, piece
        self._request = request
        self._others: Iterator[int] = iter(())
        if request.max_seconds is None:
            self._others = other_seeds(request.seed, tools.settings(request))
        self._attempts = 0
        self._begin(request)

    def _begin(self, request: Request) -> None:
        assert request.seed is not None
        self.seed = request.seed
        self._attempts += 1
        self._samples: list[Samples] = []
        self._metrics = Metrics(self._tools.bundle.manifest.sample_rate, attempts=self._attempts)
        self._spoken = Utterance(
            self._tools, request, self._metrics, (FRAMES_AT_ONCE,), rests=False
        )
        self._spoken.feed(self._piece.text, ended=True)
        self._scheduler.add(self._spoken)

    def audio(self) -> Audio | None:
        """Take what has been spoken since the last time; return the whole when it is right."""
        while (found := self._spoken.chunk()) is not None:
            self._samples.append(found[0])
        if not self._spoken.over:
            return None
        wrong = self._spoken.too_short or self._spoken.cut == "patience"
        seed = next(self._others, None) if wrong else None
        if seed is not None:
            self._begin(replace(self._request, seed=seed))
            return None
        pause = np.zeros(round(self._piece.pause * self._metrics.sample_rate), np.float32)
        samples = np.concatenate([*self._samples, pause])
        self._metrics.samples = len(samples)
        return Audio(
            samples, self._spoken.codes, self._metrics.sample_rate, self.seed, self._metrics
        )

    def wait(self) -> None:
        """Wait for others to go on, as `Scheduler.wait` says."""
        self._scheduler.wait(self._spoken)

    def close(self) -> None:
        """Let nobody speak it any more."""
        self._spoken.closed = True


def speak(tools: Tools, scheduler: Scheduler, requests: Sequence[Request]) -> "Pieces":
    """Speak requests, as many pieces side by side as there are slots.

    Args:
        tools: What utterances are made with.
        scheduler: Where they speak.
        requests: Whole texts.

    Returns:
        The number of a request and the audio of its next piece, in order.

    Raises:
        InputError: Something asked for is not to be had; says what is, before anything is spoken.
        CapacityError: The KV cache is too small for it.
        BusyError: All slots are taken by streams that nobody reads.
    """
    requests = [request.seeded() for request in requests]
    pieces = deque(
        (number, request, piece)
        for number, request in enumerate(requests)
        for piece in _pieces(tools, request)
    )
    return Pieces(len(pieces), _spoken(tools, scheduler, requests, pieces))


def _spoken(
    tools: Tools,
    scheduler: Scheduler,
    requests: Sequence[Request],
    waiting: deque[tuple[int, Request, Piece]],
) -> Iterator[tuple[int, Audio]]:
    speaking: deque[tuple[int, Speaking]] = deque()
    done: dict[Speaking, Audio] = {}
    manifest = tools.bundle.manifest
    since = [(time.perf_counter(), tools.seconds)] * len(requests)
    left = [
        None if each.max_seconds is None else frame_count(manifest, each.max_seconds)
        for each in requests
    ]
    try:
        while waiting or speaking:
            while waiting and len(speaking) < _AHEAD * scheduler.most:
                number, request, piece = waiting.popleft()
                speaking.append((number, Speaking(tools, scheduler, request, piece)))
            with scheduler.lock:
                moved = scheduler.step()
                heard = {each: each.audio() for _, each in speaking if each not in done}
            done |= {each: audio for each, audio in heard.items() if audio is not None}
            while speaking and (audio := done.pop(speaking[0][1], None)) is not None:
                number, _ = speaking.popleft()
                now = (time.perf_counter(), tools.seconds)
                audio.metrics.total = audio.metrics.ttfa = now[0] - since[number][0]
                audio.metrics.launches = now[1] - since[number][1]
                since[number], moved = now, True
                if (frames := left[number]) is not None:
                    left[number] = frames - len(audio.codes)
                    audio = _cut(audio, frames, manifest)
                if audio is not None:
                    yield number, audio
            if not moved and speaking:
                speaking[0][1].wait()
    finally:
        for _, each in speaking:
            each.close()


def _cut(audio: Audio, frames: int, manifest: Manifest) -> Audio | None:
    """Cut a piece where the seconds that were asked for are over; None where they were before."""
    if frames <= 0:
        return None
    if frames > len(audio.codes):
        return audio
    samples = audio.samples[: frames * manifest.samples_per_frame]
    metrics = replace(audio.metrics, samples=len(samples), ended=False, cut="asked")
    return replace(audio, samples=samples, codes=audio.codes[:frames], metrics=metrics)


def _pieces(tools: Tools, request: Request) -> list[Piece]:
    """Cut a text; find what is wrong with any of it now, and not when it is its turn."""
    given = request.text or ()
    text = given if isinstance(given, str) else "".join(map(checked, given))
    tools.bundle.tokenizer.encode(text)
    pieces = split(tools.splitter(request), text)
    if not pieces:
        raise InputError("the text is empty", "give at least one word to say")
    Utterance(tools, request, Metrics(0), (1,)).feed(pieces[0].text, ended=True)
    return pieces
