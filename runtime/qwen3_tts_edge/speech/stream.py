"""One request while it is spoken: what the caller holds, an iterator of chunks."""

import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace

from typing_extensions import Self

from qwen3_tts_edge.bundle.names import STREAMED
from qwen3_tts_edge.errors import BusyError, InputError
from qwen3_tts_edge.opened import Opened
from qwen3_tts_edge.speech.chunk import Chunk
from qwen3_tts_edge.speech.decoding import Decoding
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.request import Request, checked
from qwen3_tts_edge.speech.scheduler import Scheduler
from qwen3_tts_edge.speech.utterance import Tools
from qwen3_tts_edge.speech.utterances import Utterances
from qwen3_tts_edge.text.sentences import check_text

RAMP = (1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 8)
"""Frames a chunk: one for a fast first sound, then more, because larger chunks cost less each.

Each size comes four times, so that a player without a buffer is never silent while frames take up
to 64 ms, and one that holds 100 ms back up to 66; if each came twice, 53 and 58.
"""


class Stream(Opened, Iterator[Chunk]):
    """A request while it is spoken, chunk by chunk. The samples do not depend on the chunking.

    Whoever asks for a chunk moves everybody who speaks. When the stream is closed or forgotten, its
    slot is free before the next frame.

    Attributes:
        seed: Speaks the same again, given the same bundle, text and settings.
        metrics: Of the request so far.
    """

    def __init__(
        self, tools: Tools, scheduler: Scheduler, request: Request, sizes: Sequence[int]
    ) -> None:
        """Begin. What was asked for is checked now, before the first chunk is asked for.

        Args:
            tools: What its utterances are made with.
            scheduler: Where they speak.
            request: What to say.
            sizes: Frames a chunk; the last number goes on.

        Raises:
            InputError: Something asked for is not to be had; says what is.
            CapacityError: The KV cache is too small for it.
        """
        started = time.perf_counter()
        if not isinstance(request.text, str) and request.text_layout is None:
            request = replace(request, text_layout=STREAMED)  # upfront nothing could be said yet
        if isinstance(request.text, str) and not request.verbatim:
            check_text(request.text)
        self._request = request.seeded()
        assert self._request.seed is not None
        self.seed = self._request.seed
        self.metrics = Metrics(tools.bundle.manifest.sample_rate)
        self._tools, self._scheduler = tools, scheduler
        self._more: Iterator[str] | None = None
        self._utterances = Utterances(tools, scheduler, self._request, self.metrics, sizes)
        weakref.finalize(self, self._utterances.forget).atexit = False
        try:
            if isinstance(request.text, str):
                tools.bundle.tokenizer.check(request.text)  # what is wrong at its end is said now
                self.feed(request.text)
                self.finish()
            elif request.text is not None:
                self._more = iter(request.text)
        except Exception:
            self.close()  # the error may be kept, and would keep this waiting for a slot
            raise
        self.metrics.prompt = self.metrics.total = time.perf_counter() - started

    def feed(self, text: str) -> None:
        """Add to the text. What can no longer change will be spoken.

        Raises:
            InputError: The text has ended, it comes by itself, or it spells a control token.
        """
        if self._more is not None:
            raise InputError("the text comes by itself", "feed a stream whose text is None")
        self._feed(text)

    def _feed(self, text: str) -> None:
        if self._utterances.text_ended:
            raise InputError("the text has ended", "start another stream for more of it")
        with self._scheduler.lock:
            self._utterances.feed(checked(text))

    def finish(self) -> None:
        """End the text; what would still come by itself is not said.

        Raises:
            InputError: There was none.
        """
        if self._utterances.text_ended:
            return
        with self._scheduler.lock:
            self._more = None
            self._utterances.finish()

    def close(self) -> None:
        """End the speech before the next frame."""
        with self._scheduler.lock:
            self._more = None
            self._utterances.close()
            self._scheduler.lock.notify_all()

    @property
    def over(self) -> bool:
        """Whether there is no further chunk."""
        return self._utterances.current is None

    def take(self) -> Chunk | None:
        """Take the next chunk if its frames are there, and move nobody.

        For a program that calls `Synthesizer.step` for all of its streams. The metrics then count
        no work but the codec's, and no first audio.

        Raises:
            Qwen3TTSError: What went wrong with the stream.
        """
        started = time.perf_counter()
        taken = self.taking()
        chunk = None if taken is None else taken.chunk()
        self.metrics.total += time.perf_counter() - started
        return chunk

    def taking(self) -> Decoding | None:
        """Begin to take the next chunk, as `take` does; it is decoded beside other streams'.

        The chunk before has to be there already.
        """
        with self._scheduler.lock:
            return None if self.over else self._ready()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        """Make the next chunk.

        What the iterator that brings the text raises ends the stream.

        Raises:
            StopIteration: All is spoken.
            BusyError: Nobody can move: every slot is taken by a stream that is not read, or the
                text has not come yet and nobody brings it.
        """
        started, before = time.perf_counter(), self._tools.seconds
        try:
            chunk = self._next()
        except BusyError:
            raise  # it goes on when somebody can
        except BaseException:
            if self._utterances.current is not None and self._utterances.current.error is None:
                self.close()
            raise
        finally:
            self.metrics.total += time.perf_counter() - started
            self.metrics.launches += self._tools.seconds - before
        self.metrics.ttfa = self.metrics.ttfa or self.metrics.total
        return chunk

    def _next(self) -> Chunk:
        while True:
            with self._scheduler.lock:  # another thread may close it at any other time
                if (spoken := self._utterances.current) is None:
                    raise StopIteration
                if (found := self._ready()) is not None:
                    return found.chunk()
                if spoken.over:
                    continue
                spoken.reader = threading.current_thread()
                wants_text = spoken.hungry and self._more is not None
                moved = not wants_text and self._scheduler.step()
            if not moved and not self._pull():
                self._scheduler.wait(spoken)

    def _ready(self) -> Decoding | None:
        """Give the next chunk that is there."""
        found = self._utterances.ready()
        if self.over:
            self._more = None
        return found

    def _pull(self) -> bool:
        """Take more of a text that comes by itself; it may take its time."""
        if (more := self._more) is None:
            return False
        try:
            piece = next(more)
        except StopIteration:
            self.finish()
            return True
        with self._scheduler.lock:
            if not self.over:  # closed by another thread, while this one waited for it
                self._feed(piece)
        return True
