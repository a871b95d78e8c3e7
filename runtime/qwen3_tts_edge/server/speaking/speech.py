"""What the worker does for a session, in its thread: text becomes streams, and streams sound."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from qwen3_tts_edge.server.speaking.worker import Worker
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.sound.player import Player
from qwen3_tts_edge.speech.decoding import Decoding
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.stream import Stream
from qwen3_tts_edge.text.stops import SPOKEN

_AHEAD = 2.0
"""Seconds of sound that a client may be behind before no more is made for it."""


@dataclass(frozen=True)
class Sound:
    """A piece of what is spoken.

    Attributes:
        data: In the format that was asked for; empty where an encoder still holds it back.
        seconds: Of speech that went into it.
    """

    data: bytes
    seconds: float


@dataclass(frozen=True)
class Flushed:
    """All text before a `flush` has been spoken, and its sound told before this."""


Event = Sound | Flushed


class Speech:
    """One stream after the other, each from flush to flush: a `worker.Speaking`.

    Attributes:
        over: Whether nothing more will come.
        frames: That were made by the streams that are over.
        runaways: Of these streams those that never said their end.
    """

    def __init__(
        self,
        worker: Worker,
        request: Request,
        chunk_frames: tuple[int, ...],
        encoder: Encoder,
        tell: Callable[[Event | Exception | None], None],
    ) -> None:
        """Take what a session was given, and what tells it of events.

        Arguments are those of `Session`, `tell` aside.
        """
        self.over = False
        self.frames = self.runaways = 0
        self._worker, self._encoder, self._tell = worker, encoder, tell
        self._request, self._chunk_frames = request, chunk_frames
        self._texts = deque([""])  # not yet fed, from flush to flush; the last still grows
        self._stream: Stream | None = None
        self._decoding: Decoding | None = None
        self._fed = False
        self._ended = False
        self._player = Player()
        self._read = 0.0  # seconds, of those that the player was told

    def begin(self, text: str, *, ended: bool) -> None:
        """Begin to speak, as `Session.begin` says."""
        self._stream = self._open(text if ended else None)
        self._fed = self._ended = ended
        try:
            if not ended:
                self._grow(text)
        except Exception:
            self.cancel()
            raise
        self._worker.add(self)

    def append(self, text: str) -> None:
        """Add to the text."""
        self._guarded(lambda: self._grow(text))

    def flush(self) -> None:
        """Let what is there be all of a stream."""
        self._texts.append("")
        self._guarded(self._feed)

    def end(self) -> None:
        """End the text."""
        self._ended = True
        self._guarded(self._feed)

    def cancel(self) -> None:
        """Say no more."""
        self.over = True
        if self._stream is not None:
            self._stream.close()
        # An error's traceback may keep who asked for it, and this, for long: nothing large stays.
        self._decoding = None
        self._encoder.close()

    def read(self, seconds: float) -> bool:
        """Note that so much was read; return whether that made room. The event loop's to call.

        The worker may look for room in between. What it has handed on is asked for once, behind the
        note: either it has seen that there is room, or this tells so.
        """
        before = self._read
        self._read += seconds
        told = self._player.seconds
        return told - before >= _AHEAD and told - self._read < _AHEAD

    def deliver(self, *, wait: bool) -> bool:
        """Hand on one chunk, so that everybody who speaks gets one in turn.

        The next is decoded while others are served and the next frame is made; the first of all is
        waited for.
        """
        moved = self._decoding is not None
        if self._decoding is not None and (wait or self._decoding.done):
            self._tell_chunk(self._decoding)
        if self._decoding is None and self._room:
            moved = self._decode() or moved
        if self._decoding is not None and (self._player.first is None or self._decoding.done):
            self._tell_chunk(self._decoding)
        return moved

    def fail(self, error: Exception) -> None:
        """End with an error, as `worker.Speaking.fail` says."""
        self.cancel()
        self._worker.note(error)
        self._tell(error)

    @property
    def ends(self) -> float:
        """When its client falls silent: -inf, until it has heard anything."""
        return -math.inf if self._player.ends is None else self._player.ends

    @property
    def _room(self) -> bool:
        return self._player.seconds - self._read < _AHEAD

    def _open(self, text: str | None = None) -> Stream:
        self._fed = False
        return self._worker.synthesizer.stream(
            text, self._request.voice, chunk_frames=self._chunk_frames, **self._request.asked
        )

    def _guarded(self, work: Callable[[], None]) -> None:
        if self.over:
            return
        try:
            work()
        except Exception as error:
            self.fail(error)

    def _grow(self, text: str) -> None:
        self._texts[-1] += text
        self._feed()

    def _feed(self) -> None:
        """Give the stream its text; end it where its text has ended."""
        if self._stream is None and SPOKEN.search(self._texts[0]):
            self._stream = self._open()
        if self._stream is None:
            return
        if text := self._texts[0]:
            self._texts[0] = ""
            self._fed = self._fed or SPOKEN.search(text) is not None
            self._stream.feed(text)
        if self._closed:
            if self._fed:
                self._stream.finish()
            else:
                self._stream.close()  # nothing to say between two flushes is no fault

    @property
    def _closed(self) -> bool:
        """Whether the text of this stream has ended."""
        return self._ended or len(self._texts) > 1

    def _tell_chunk(self, decoding: Decoding) -> None:
        chunk, self._decoding = decoding.chunk(), None
        seconds = len(chunk.samples) / chunk.sample_rate
        self._player.hear(seconds, time.monotonic())
        self._tell(Sound(self._encoder.encode(chunk.samples), seconds))

    def _decode(self) -> bool:
        """Begin to decode the next chunk, or end; return whether there was anything to do."""
        stream = self._stream
        self._decoding = None if stream is None else stream.taking()
        if self._decoding is not None:
            return True
        if not self._closed or not (stream is None or stream.over):
            return False
        if stream is not None:
            self.frames += len(stream.metrics.frames)
            self.runaways += stream.metrics.ran_away
            self._worker.note(None)
            self._finish_sound()
        self._stream = None
        if len(self._texts) > 1:
            self._texts.popleft()
            self._tell(Flushed())
            self._feed()
            return True
        self.over = True
        self._finish_sound()
        self._tell(None)
        return True

    def _finish_sound(self) -> None:
        """Tell what the encoder holds back. More text begins its sound anew."""
        if rest := self._encoder.finish():
            self._tell(Sound(rest, 0.0))
