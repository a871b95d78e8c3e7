"""One utterance while it is spoken: rows for the talker out, codes in, samples out."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.arrays import Codes, Rows
from qwen3_tts_edge.backends import FrameGraph, Graph
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import SamplingDefaults
from qwen3_tts_edge.codec.decoder import CodecDecoder, DecoderStream
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.pace import too_short
from qwen3_tts_edge.speech.decoding import Decoding
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.patience import Limit, limit
from qwen3_tts_edge.speech.prompt import Prompt, PromptBuilder
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.sampling import Sampling
from qwen3_tts_edge.text.growing_text import GrowingText
from qwen3_tts_edge.text.sentences import Splitter, Whole

UNREAD_SECONDS = 4.0
"""Of sound that a reader may be behind; then the utterance rests."""


@dataclass(frozen=True)
class Tools:
    """What utterances are made with.

    Attributes:
        bundle: Whose they are.
        prompts: Text ids → prompts.
        decoder: Codes → samples.
        capacity: Positions of a slot's KV cache.
        graphs: Those that speak, for their times.
    """

    bundle: Bundle
    prompts: PromptBuilder
    decoder: CodecDecoder
    capacity: int
    graphs: Sequence[FrameGraph | Graph]

    @property
    def seconds(self) -> float:
        """Time spent inside graphs since they were opened."""
        return sum(graph.seconds for graph in self.graphs)

    def splitter(self, request: Request) -> Splitter | Whole:
        """What cuts the request's text into pieces that an utterance can hold."""
        if request.verbatim:
            return Whole()
        if request.piece_seconds is not None:
            return Splitter(request.piece_seconds)
        holds = self.bundle.manifest.utterance
        return Splitter(holds.most_seconds, holds.most_sentences)

    def settings(self, request: Request) -> SamplingDefaults:
        """Complete the sampling settings of a request."""
        return (request.sampling or Sampling()).over(self.bundle.manifest.sampling)


class Utterance:
    """One piece of text, from its first id to its last sample.

    The scheduler asks it for rows and gives it codes; its reader takes chunks.

    Attributes:
        settings: How its codes are chosen.
        seed: Of its draws.
        prompt: None until there is enough text to begin.
        metrics: Of the request it is a part of.
        text_ended: Whether it has all of its text.
        ended: None while it is spoken; then whether speech ended by itself, not by a limit.
        too_short: It ended before its text can have been spoken.
        cut: The kind of the limit that ended it, if one did.
        closed: Nobody wants the rest.
        error: What went wrong with it.
        reader: Who last asked for a chunk.
    """

    def __init__(
        self,
        tools: Tools,
        request: Request,
        metrics: Metrics,
        sizes: Sequence[int],
        *,
        rests: bool = True,
    ) -> None:
        """Begin an utterance; `feed` gives it its text.

        Args:
            tools: What it is made with.
            request: With a seed.
            metrics: Where its times are added.
            sizes: Frames a chunk; the last number goes on.
            rests: It rests when its reader is behind; else it goes on to its end.

        Raises:
            InputError: Something asked for is not to be had; says what is.
        """
        assert request.seed is not None
        manifest = tools.bundle.manifest
        self.settings = tools.settings(request)
        self.seed = request.seed
        self.prompt: Prompt | None = None
        self.metrics = metrics
        self.ended: bool | None = None
        self.too_short = False
        self.cut: str | None = None
        self.closed = False
        self.error: Exception | None = None
        self.reader: threading.Thread | None = None
        self._tools = tools
        self._manifest = manifest
        self._max_seconds = request.max_seconds
        self._sizes = list(sizes)
        self._rests = rests
        self._start = tools.prompts.start(
            request.voice,
            language=request.language,
            instruct=request.instruct,
            text_layout=request.text_layout,
        )
        self._growing = GrowingText(tools.bundle.tokenizer)
        self._text = ""
        self.text_ended = False
        self._ids: list[int] = []
        self._limit = Limit(0, "memory")
        self._asked = 0
        self._frames: list[npt.NDArray[np.int64]] = []
        self._unread: deque[npt.NDArray[np.int64]] = deque()
        self._sound: DecoderStream | None = None

    @property
    def over(self) -> bool:
        """Whether it takes no more codes."""
        return self.ended is not None or self.closed or self.error is not None

    @property
    def codes(self) -> Codes:
        """What was spoken so far, int64 (frames, codebooks)."""
        nothing = np.zeros((0, self._manifest.codebooks), np.int64)
        return np.stack(self._frames) if self._frames else nothing

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say yet."""
        return not self._text.strip()

    @property
    def begun(self) -> bool:
        """Whether its prompt was read."""
        return self._asked > 0

    @property
    def hungry(self) -> bool:
        """Whether it cannot go on without more text."""
        read = self._asked - 1 if self._asked else 0
        return not self.text_ended and (self.prompt is None or self.prompt.text_row(read) is None)

    @property
    def seconds(self) -> float:
        """How long it has spoken."""
        return len(self._frames) / self._manifest.frames_per_second

    def feed(self, text: str, *, ended: bool) -> None:
        """Give it more of its text; `ended` with the last.

        Raises:
            InputError: There is nothing to say, or it spells a control token.
            CapacityError: There is no room for the prompt.
        """
        started = time.perf_counter()
        self._text += text
        ids = self._growing.feed(text)
        if ended:
            ids += self._growing.finish()
        self.text_ended = ended
        self._ids += ids
        prompts = self._tools.prompts
        if self.prompt is not None:
            prompts.extend(self.prompt, ids, ended=ended)
        elif ended and not self._ids:
            raise InputError(
                "the text is empty, or has no letter or digit", "give at least one word to say"
            )
        elif self._ids:
            self.prompt = prompts.prompt(self._start, self._ids, ended=ended)
        if self.prompt is not None:
            whole = self._text if ended else None
            room, rows = self._tools.capacity, len(self.prompt.rows)
            self._limit = limit(self._manifest, room, rows, whole, self._max_seconds)
        self.metrics.prompt += time.perf_counter() - started

    def next_rows(self) -> Rows | None:
        """Give what the talker reads next: its prompt, then a text row a frame.

        Returns:
            float32 (n, hidden); None where it rests: its text is still to come, its reader is
            behind, or all of its frames are launched.
        """
        if self.over or self.prompt is None or self._asked >= self._limit.frames:
            return None
        behind = max(UNREAD_SECONDS * self._manifest.frames_per_second, self._sizes[0])
        if self._rests and len(self._unread) >= behind:
            return None
        rows = self.prompt.rows if self._asked == 0 else self.prompt.text_row(self._asked - 1)
        if rows is not None:
            self._asked += 1
        return rows

    def take(self, codes: npt.NDArray[np.int64], seconds: float) -> None:
        """Take a frame, int64 (codebooks,), and how long it took to make."""
        if self.over:
            return
        self.metrics.frames.append(seconds)
        if codes[0] == self._manifest.control_codes.end_of_speech:
            self._end(by_itself=True)
            return
        self._frames.append(codes)
        self._unread.append(codes)
        if len(self._frames) >= self._limit.frames:
            self._end(by_itself=False)

    def chunk(self) -> Decoding | None:
        """Begin to decode the next chunk, if its frames are there; raise what went wrong.

        The chunk before has to be there already.
        """
        if self.error is not None:
            raise self.error
        size = self._sizes[0]
        if len(self._unread) < size and not (self.ended is not None and self._unread):
            return None
        if len(self._sizes) > 1:
            self._sizes.pop(0)
        codes = np.stack([self._unread.popleft() for _ in range(min(size, len(self._unread)))])
        start = time.perf_counter()
        if self._sound is None:
            assert self.prompt is not None
            self._sound = self._tools.decoder.begin(self.prompt.reference)
        before = time.perf_counter() - start
        decoding = Decoding(codes, self._sound.start(codes), self.metrics, before)
        if self.ended is not None and not self._unread:
            self._sound = None  # its state is another's as soon as this is decoded
        return decoding

    def _end(self, *, by_itself: bool) -> None:
        self.ended = by_itself
        if by_itself:
            assert self.prompt is not None
            frames = len(self._frames)
            unread = not self.prompt.spoken(frames)
            self.too_short = unread or too_short(self._text, self.seconds)
        else:
            self.cut = self._limit.kind
        self.metrics.ended = by_itself and self.metrics.ended is not False
        self.metrics.too_short = self.metrics.too_short or self.too_short
        self.metrics.cut = self.metrics.cut or self.cut
