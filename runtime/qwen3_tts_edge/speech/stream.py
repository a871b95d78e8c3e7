"""One request while it is spoken: what the caller holds, an iterator of chunks."""

import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import Self

from qwen3_tts_edge.bundle.memory import frame_count
from qwen3_tts_edge.bundle.names import STREAMED
from qwen3_tts_edge.errors import BusyError, InputError
from qwen3_tts_edge.opened import Opened
from qwen3_tts_edge.speech.chunk import Chunk
from qwen3_tts_edge.speech.decoding import Decoding
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.request import Request, checked
from qwen3_tts_edge.speech.scheduler import Scheduler
from qwen3_tts_edge.speech.utterance import Tools, Utterance
from qwen3_tts_edge.text.pieces import Cut
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
        self._tools, self._scheduler, self._sizes = tools, scheduler, sizes
        self._cut = Cut(tools.splitter(request))
        self._pause = 0.0
        self._silence = 0
        self._text_ended = False
        self._spoken: Utterance | None = None
        self._more: Iterator[str] | None = None
        self._forgotten: weakref.finalize[..., Any] | None = None
        self._begin()
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
        if self._text_ended:
            raise InputError("the text has ended", "start another stream for more of it")
        with self._scheduler.lock:
            self._cut.feed(checked(text))
            self._supply()

    def finish(self) -> None:
        """End the text; what would still come by itself is not said.

        Raises:
            InputError: There was none.
        """
        if self._text_ended:
            return
        with self._scheduler.lock:
            self._text_ended = True
            self._more = None
            self._cut.finish()
            self._supply()

    def close(self) -> None:
        """End the speech before the next frame."""
        with self._scheduler.lock:
            self._text_ended = True
            self._cut.clear()
            self._more = None
            if self._spoken is not None:
                self._spoken.closed = True
                self._spoken = None
            if self._forgotten is not None:
                self._forgotten.detach()  # it keeps the utterance, and that the codec's state
            self._scheduler.lock.notify_all()

    @property
    def over(self) -> bool:
        """Whether there is no further chunk."""
        return self._spoken is None

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
            if self._spoken is not None and self._spoken.error is None:
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
                if (spoken := self._spoken) is None:
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
        """The next chunk that is there: of the utterance, or the pause behind it."""
        spoken = self._spoken
        assert spoken is not None
        if self._silence and not spoken.empty:  # there is something to say behind it
            length, self._silence = self._silence, 0
            return Decoding.silence(length, self._tools.bundle.manifest.codebooks, self.metrics)
        found = spoken.chunk()
        if found is not None or not spoken.over:
            return found
        self._spoken = None
        if (self._text_ended and not self._cut.first()) or not self._time_is_left(spoken):
            return None
        self._silence = round(self._pause * self.metrics.sample_rate)
        if self.metrics.ended:
            self.metrics.ended = None  # there is more to say
        self._begin()
        self._supply()
        return self._ready()

    def _time_is_left(self, spoken: Utterance) -> bool:
        """Take what was spoken from what was asked for."""
        if self._request.max_seconds is None:
            return True
        manifest = self._tools.bundle.manifest
        left = frame_count(manifest, self._request.max_seconds) - len(spoken.codes)
        if left > 0:
            seconds = left / manifest.frames_per_second
            self._request = replace(self._request, max_seconds=seconds)
            return True
        self.metrics.ended, self.metrics.cut = False, "asked"
        self._more = None
        return False

    def _begin(self) -> None:
        """Begin the next utterance; its text is yet to be given."""
        self._spoken = Utterance(self._tools, self._request, self.metrics, self._sizes)
        if self._forgotten is not None:
            self._forgotten.detach()
        self._forgotten = weakref.finalize(self, setattr, self._spoken, "closed", True)
        self._forgotten.atexit = False
        self._scheduler.add(self._spoken)

    def _end(self) -> None:
        """No more text came after the last utterance."""
        assert self._spoken is not None
        self._spoken.closed = True
        self._spoken = None
        if self.metrics.ended is None:
            self.metrics.ended = True

    def _supply(self) -> None:
        """Give the utterance its parts of the text that are there, and end it behind the last.

        One part more is cut, to know whether it is the last.
        """
        while self._spoken is not None and (part := self._cut.first()) is not None:
            if part.pause and not part.ends:
                self._lengthen(part.pause)
                self._cut.drop()
                continue
            if self._spoken.text_ended:
                return
            self._cut.drop()
            self._pause = part.pause
            self._give(part.text, ended=part.ends)
        if self._text_ended and self._spoken is not None and not self._spoken.text_ended:
            if self.metrics.frames:
                self._end()
            else:
                self._give("", ended=True)  # there was nothing to say, and it says so

    def _give(self, text: str, *, ended: bool) -> None:
        """Give the utterance more of its text."""
        assert self._spoken is not None
        try:
            self._spoken.feed(text, ended=ended)
        except InputError as error:
            self._spoken.error = error  # whoever asks for chunks hears of it too
            raise

    def _lengthen(self, pause: float) -> None:
        """Make the last pause longer: the one to come, or the one that is on its way."""
        assert self._spoken is not None
        if self._spoken.text_ended:
            self._pause = pause
        else:
            self._silence = round(pause * self.metrics.sample_rate)

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
