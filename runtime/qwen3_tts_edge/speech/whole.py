"""Texts that are wanted whole: their pieces are spoken side by side, and given in order."""

import time
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from typing_extensions import Self

from qwen3_tts_edge.arrays import is_whole
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.memory import frame_count
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.opened import Opened
from qwen3_tts_edge.speech.chunk import Audio
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.request import Request, checked
from qwen3_tts_edge.speech.scheduler import Scheduler
from qwen3_tts_edge.speech.spoken_piece import SpokenPiece
from qwen3_tts_edge.speech.utterance import Tools, Utterance
from qwen3_tts_edge.text.pieces import Piece, split
from qwen3_tts_edge.text.sentences import check_text

_AHEAD = 2
"""Pieces that are begun for each slot: one speaks and one is ready to join."""


@dataclass(eq=False)
class _Text:
    """A request, and how far its text has come.

    Attributes:
        number: Of the request.
        request: With a seed, and its text in one string.
        uncut: The pieces that are not cut yet.
        since: When its last piece was given, or all began; and the seconds in graphs up to then.
        left: Frames that it may still last; None where nobody said how long.
        cut: Pieces that were cut.
        seed: Speaks the same again.
    """

    number: int
    request: Request
    uncut: Iterator[Piece]
    since: tuple[float, float]
    left: int | None
    seed: int
    cut: int = 0

    def give(self, audio: Audio, now: tuple[float, float], manifest: Manifest) -> Audio:
        """Note the time that a piece took, and end it where the seconds asked for are over."""
        if self.cut == 1:
            self.seed = audio.seed
        audio.metrics.total = audio.metrics.ttfa = now[0] - self.since[0]
        audio.metrics.launches = now[1] - self.since[1]
        self.since = now
        if (frames := self.left) is None:
            return audio
        self.left = frames - len(audio.codes)
        if self.left > 0:
            return audio
        samples = audio.samples[: frames * manifest.samples_per_frame]
        metrics = replace(audio.metrics, samples=len(samples), ended=False, cut="asked")
        return replace(audio, samples=samples, codes=audio.codes[:frames], metrics=metrics)

    @property
    def over(self) -> bool:
        """Whether no more of it shall be heard."""
        return self.left is not None and self.left <= 0


class Pieces(Opened, Iterator[tuple[int, Audio]]):
    """Whole texts while they are spoken, piece by piece: what the caller holds.

    Gives the number of a request and the audio of its next piece, in order; its length is the
    number of pieces, of which `max_seconds` may leave out the last. Whoever asks for a piece moves
    everybody who speaks. When it is closed or forgotten, its slots are free before the next frame.
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
        self._texts = _texts(tools, requests)
        self._uncut = deque(self._texts)
        self._waiting: deque[tuple[_Text, Piece]] = deque()
        self._speaking: deque[tuple[_Text, SpokenPiece]] = deque()
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
        return sum(1 for each in self._texts for _ in _pieces(self._tools, each.request))

    @property
    def seeds(self) -> list[int]:
        """Of each request, once all of it is given: speaks the same again.

        A later one than was asked for where its only piece was begun anew; of several pieces others
        were not.
        """
        return [each.seed for each in self._texts]

    @property
    def over(self) -> bool:
        """Whether there is no further piece."""
        return not (self._waiting or self._speaking)

    def close(self) -> None:
        """End the speech before the next frame."""
        with self._scheduler.lock:
            self._uncut.clear()
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
                found = self._given(*self._speaking.popleft())
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
            text, piece = self._waiting.popleft()
            spoken = SpokenPiece(self._tools, self._scheduler, text.request, piece)
            self._speaking.append((text, spoken))

    def _cut(self) -> bool:
        """Cut the next piece of the texts; return whether there is one."""
        while self._uncut:
            text = self._uncut[0]
            if (piece := next(text.uncut, None)) is not None:
                text.cut += 1
                self._waiting.append((text, piece))
                return True
            self._uncut.popleft()
        return False

    def _given(self, text: _Text, spoken: SpokenPiece) -> tuple[int, Audio]:
        assert spoken.audio is not None
        now = (time.perf_counter(), self._tools.seconds)
        audio = text.give(spoken.audio, now, self._tools.bundle.manifest)
        if text.over:
            self._drop(text)
        return text.number, audio

    def _drop(self, text: _Text) -> None:
        """Let nobody speak what is left of a text, after its last second."""
        self._uncut = deque(each for each in self._uncut if each is not text)
        self._waiting = deque(each for each in self._waiting if each[0] is not text)
        for each in [each for each in self._speaking if each[0] is text]:
            self._speaking.remove(each)
            each[1].close()


def _close(speaking: deque[tuple[_Text, SpokenPiece]]) -> None:
    for _, each in speaking:
        each.close()
    speaking.clear()


def _texts(tools: Tools, requests: Sequence[Request]) -> list[_Text]:
    """Look at all that was asked for; nothing is spoken before."""
    asked = [_gathered(request.seeded()) for request in requests]
    uncut = [_pieces(tools, request) for request in asked]
    now, manifest = (time.perf_counter(), tools.seconds), tools.bundle.manifest
    texts = []
    for number, (request, pieces) in enumerate(zip(asked, uncut, strict=True)):
        assert request.seed is not None
        most = request.max_seconds
        left = None if most is None else frame_count(manifest, most)
        texts.append(_Text(number, request, pieces, now, left, request.seed))
    return texts


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
