"""A text's utterances, one after the other, and the silence between them."""

from collections.abc import Sequence
from dataclasses import replace

from qwen3_tts_edge.bundle.memory import frame_count
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.speech.decoding import Decoding
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.scheduler import Scheduler
from qwen3_tts_edge.speech.utterance import Tools, Utterance
from qwen3_tts_edge.text.pieces import Cut


class Utterances:
    """The utterances of a text that may grow. One is spoken at a time.

    Whoever calls holds the scheduler's lock, but for `forget`.

    Attributes:
        current: The one that is spoken; None when nothing is left to say.
        text_ended: Whether no more text comes.
    """

    def __init__(
        self,
        tools: Tools,
        scheduler: Scheduler,
        request: Request,
        metrics: Metrics,
        sizes: Sequence[int],
    ) -> None:
        """Begin the first; `feed` gives the text.

        Args:
            tools: What they are made with.
            scheduler: Where they speak.
            request: With a seed; its text is left out.
            metrics: Of the request.
            sizes: Frames a chunk; the last number goes on.

        Raises:
            InputError: Something asked for is not to be had; says what is.
        """
        self.current: Utterance | None = None
        self.text_ended = False
        self._tools, self._scheduler, self._sizes = tools, scheduler, sizes
        self._request, self._metrics = request, metrics
        self._cut = Cut(tools.splitter(request))
        self._pause = 0.0  # behind the current one, in seconds
        self._silence = 0  # before the current one, in samples that are yet to be given
        self._begin()

    def feed(self, text: str) -> None:
        """Add to the text. What can no longer change will be spoken.

        Raises:
            InputError: It spells a control token.
            CapacityError: There is no room for the prompt.
        """
        self._cut.feed(text)
        self._supply()

    def finish(self) -> None:
        """End the text.

        Raises:
            InputError: There was none.
        """
        self.text_ended = True
        self._cut.finish()
        self._supply()

    def close(self) -> None:
        """Say no more."""
        self.text_ended = True
        self._cut.clear()
        self.forget()
        self.current = None

    def forget(self) -> None:
        """End the current one before its next frame.

        Without the lock, for it is called where a stream is collected, and that may be anywhere.
        """
        if (current := self.current) is not None:
            current.closed = True

    def ready(self) -> Decoding | None:
        """Give the next chunk that is there: of the current one, or the silence before it."""
        current = self.current
        assert current is not None
        if self._silence and not current.empty:  # there is something to say behind it
            length, self._silence = self._silence, 0
            return Decoding.silence(length, self._tools.bundle.manifest.codebooks, self._metrics)
        found = current.chunk()
        if found is not None or not current.over:
            return found
        self.current = None
        if (self.text_ended and not self._cut.first()) or not self._time_is_left(current):
            return None
        self._silence = round(self._pause * self._metrics.sample_rate)
        if self._metrics.ended:
            self._metrics.ended = None  # there is more to say
        self._begin()
        self._supply()
        return self.ready()

    def _begin(self) -> None:
        """Begin the next; its text is yet to be given."""
        self.current = Utterance(self._tools, self._request, self._metrics, self._sizes)
        self._scheduler.add(self.current)

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
        self._metrics.ended, self._metrics.cut = False, "asked"
        return False

    def _end(self) -> None:
        """No more text came after the last utterance."""
        assert self.current is not None
        self.current.closed = True
        self.current = None
        if self._metrics.ended is None:
            self._metrics.ended = True

    def _supply(self) -> None:
        """Give the utterance its parts of the text that are there, and end it behind the last.

        One part more is cut, to know whether it is the last.
        """
        while self.current is not None and (part := self._cut.first()) is not None:
            if part.pause and not part.ends:
                self._lengthen(part.pause)
                self._cut.drop()
                continue
            if self.current.text_ended:
                return
            self._cut.drop()
            self._pause = part.pause
            self._give(part.text, ended=part.ends)
        if self.text_ended and self.current is not None and not self.current.text_ended:
            if self._metrics.frames:
                self._end()
            else:
                self._give("", ended=True)  # there was nothing to say, and it says so

    def _give(self, text: str, *, ended: bool) -> None:
        """Give the utterance more of its text."""
        assert self.current is not None
        try:
            self.current.feed(text, ended=ended)
        except InputError as error:
            self.current.error = error  # whoever asks for chunks hears of it too
            raise

    def _lengthen(self, pause: float) -> None:
        """Make the last pause longer: the one to come, or the one that is on its way."""
        assert self.current is not None
        if self.current.text_ended:
            self._pause = pause
        else:
            self._silence = round(pause * self._metrics.sample_rate)
