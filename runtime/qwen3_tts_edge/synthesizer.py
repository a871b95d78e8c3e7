"""Open a bundle and speak: text → ids → prompt → frames → samples → chunks."""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from typing_extensions import Self, Unpack

from qwen3_tts_edge.arrays import is_whole
from qwen3_tts_edge.backends import Backend, FrameGraph, Graph, open_backend
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER
from qwen3_tts_edge.bundle.memory import capacity
from qwen3_tts_edge.codec.decoder import CodecDecoder
from qwen3_tts_edge.errors import CapacityError, InputError, quoted
from qwen3_tts_edge.forks import shared
from qwen3_tts_edge.opened import Opened
from qwen3_tts_edge.speech.chunk import Audio
from qwen3_tts_edge.speech.prompt import PromptBuilder
from qwen3_tts_edge.speech.request import Asked, Request, Text
from qwen3_tts_edge.speech.scheduler import Scheduler
from qwen3_tts_edge.speech.slots import Slots
from qwen3_tts_edge.speech.stream import RAMP, Stream
from qwen3_tts_edge.speech.utterance import Tools
from qwen3_tts_edge.speech.whole import Pieces
from qwen3_tts_edge.threads import Threads
from qwen3_tts_edge.voices.listener import Listener
from qwen3_tts_edge.voices.matching import match
from qwen3_tts_edge.voices.reference import Reference, Source
from qwen3_tts_edge.voices.voice import Voice

SLOTS = 8
"""Streams that speak at once, unless the engines were built for fewer."""


class Synthesizer(Opened):
    """A bundle, opened. Several streams speak at once, each in a slot; others wait for one.

    Threads may share it: they take turns, one frame each. Who asks for
    sound does the work; only small codecs are decoded in threads of their own.

    Attributes:
        bundle: What it was opened from.
        manifest: Of the bundle.
        backend: What runs its graphs, by name.
        prompts: Text → prompt.
        decoder: Codes → samples.
        listener: The encoders of a base bundle: reference audio → a voice.
        frame_graph: Prompts → frames.
        slots: How many may speak at once.
    """

    def __init__(
        self, bundle: Bundle, backend: Backend, frame: FrameGraph, codec: Graph, slots: int
    ) -> None:
        """Put the rooms together; `open` is the way in."""
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.backend = backend.name
        self.frame_graph = frame
        self.prompts = PromptBuilder(bundle)
        self.decoder = CodecDecoder(codec, bundle.manifest, backend.name)
        self.listener = Listener(bundle, backend)
        self.slots = slots
        self._tools = Tools(bundle, self.prompts, self.decoder, frame.capacity, (frame, codec))
        try:
            room = Slots(frame, bundle.manifest, slots)
        except (MemoryError, OSError, OverflowError) as error:
            raise CapacityError(
                f"there is no memory for the KV caches of {quoted(slots)} slots",
                "ask for fewer, or for a smaller max_seconds",
            ) from error
        self._scheduler = Scheduler(room)

    @classmethod
    def open(
        cls,
        bundle: str | Path | Bundle | None = None,
        *,
        backend: str = "auto",
        threads: int | None = None,
        slots: int | None = None,
        max_seconds: float | None = None,
        verify: bool = True,
    ) -> Self:
        """Open a bundle.

        Args:
            bundle: Its folder, or what `Bundle.open` gave; None is the voice that comes with the
                package.
            backend: One of `backends.BACKENDS`.
            threads: CPU threads that work at once; None is one per physical core.
            slots: How many may speak at once, each with a KV cache of its own: on the CPU its
                memory is taken as it fills, on a GPU at once. None is 8, or fewer where TensorRT's
                engines were built for fewer.
            max_seconds: The longest utterance; decides how large a KV cache is. None is 160,
                or less where the checkpoint knows fewer positions; with TensorRT it is what the
                engines were built for.
            verify: Compare every file with its hash first, as `Bundle.check` does: those that
                had it before and have not changed are not read again.

        Raises:
            BundleError: Not a bundle, damaged, or made by another version.
            BackendError: The backend is not installed.
            CapacityError: `max_seconds` is more than the checkpoint has positions for, or `slots`
                or `max_seconds` more than the engines were built for, or there is memory for.
            InputError: `slots` is below 1.
        """
        if not isinstance(verify, bool):
            raise InputError.of("verify", verify, "True or False")
        opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        manifest = opened.manifest
        positions = capacity(manifest, max_seconds)
        if slots is not None and not _whole_numbers([slots]):
            raise InputError.of("slots", slots, "a whole number from 1")
        if verify:
            opened.check()
        opener = open_backend(
            backend,
            flavour=manifest.flavour,
            threads=threads,
            codec=manifest.graph(CODEC_DECODER),
        )
        frame, codec = _open_graphs(opened, opener, positions)
        if max_seconds is not None and frame.capacity < positions:
            raise CapacityError(
                f"max_seconds {max_seconds} needs {positions} positions, the engines were built "
                f"for {frame.capacity}",
                f"build them again, for a --max-seconds of {max_seconds}",
            )
        most = frame.slots or max(SLOTS, slots or 0)
        if slots is not None and slots > most:
            raise CapacityError(
                f"{slots} slots are asked for, the engines were built for {most}",
                "ask for fewer, or build them again for more",
            )
        return cls(opened, opener, frame, codec, slots or min(SLOTS, most))

    @property
    def speakers(self) -> list[str]:
        """The named speakers, sorted; empty for a checkpoint that designs its voices."""
        return self.manifest.speaker_names

    @property
    def languages(self) -> list[str]:
        """What `language` may be."""
        return self.prompts.languages

    def clone(
        self,
        ref_audio: Source | Reference,
        ref_text: str | None = None,
        *,
        keep_silence: bool = False,
    ) -> Voice:
        """Hear a voice, to speak with it: with `ref_text`, what the recording says, in context.

        Arguments and errors are those of `Listener.voice`.
        """
        return self.listener.voice(ref_audio, ref_text, keep_silence=keep_silence)

    def prime(self, voice: Voice) -> Voice:
        """Make a clone in context quick to begin: `voice.save` then writes 5 MB more.

        A process that loads it need not decode the recording before its first sound, and says the
        same. See `Clone.prime`.

        Raises:
            InputError: The voice is no clone in context, or not one for this checkpoint.
        """
        clone = match(self.manifest, voice, None).clone
        if clone is None:
            raise InputError("the voice is no clone", "only a recording can be decoded ahead")
        with self._scheduler.lock:
            return clone.prime(self.decoder)

    def stream(
        self,
        text: Text | None,
        voice: Voice | None = None,
        *,
        chunk_frames: Sequence[int] = RAMP,
        **asked: Unpack[Asked],
    ) -> Stream:
        """Speak, chunk by chunk. The samples do not depend on the chunking.

        Args:
            text: What to say, of any length; pieces of it that come one by one are spoken as they
                come, and None is fed, see `Stream.feed`.
            voice: Who says it; None is the first named speaker.
            chunk_frames: Frames a chunk, 80 ms each; the last number goes on.
            **asked: See `Request`.

        Raises:
            InputError: Something asked for is not to be had; says what is.
            CapacityError: The KV cache is too small for it.
        """
        if not _whole_numbers(chunk_frames):
            raise InputError.of(
                "chunk_frames", chunk_frames, "a list of whole numbers from 1, such as [1, 2, 4, 8]"
            )
        request = Request(text, voice, **asked)
        return Stream(self._tools, self._scheduler, request, chunk_frames)

    def step(self) -> bool:
        """Make one frame of everybody who speaks, for a program that reads with `Stream.take`.

        Returns:
            Whether anything moved: if not, a stream has to be fed, read or closed first.
        """
        return self._scheduler.step()

    def speak(self, text: Text, voice: Voice | None = None, **asked: Unpack[Asked]) -> Audio:
        """Speak all of it. Arguments and errors are those of `stream`.

        Pieces of a long text are spoken side by side. What has run away, or ended before its text
        can have been spoken, is begun anew with the next seed, twice at most.
        """
        return self.speak_batch([Request(text, voice, **asked)])[0]

    def pieces(
        self,
        text: Text,
        voice: Voice | None = None,
        *,
        at_once: int | None = None,
        **asked: Unpack[Asked],
    ) -> Pieces:
        """Speak all of it, like `speak`, and give each piece of the text when its turn has come.

        Args:
            text: See `speak`.
            voice: See `speak`.
            at_once: Pieces that speak or wait to, side by side; None keeps all slots busy.
            **asked: See `Request`.

        Returns:
            An iterator over (0, audio of a piece), whose length is the number of pieces. The memory
            that it takes does not grow with the text.
        """
        requests = [Request(text, voice, **asked)]
        return Pieces(self._tools, self._scheduler, requests, at_once=at_once)

    def speak_batch(self, requests: Iterable[Request]) -> list[Audio]:
        """Speak many requests, as many at once as there are slots: more sound a second, not sooner.

        Each is what `speak` makes of it alone with the same seed. Errors are those of `speak`.
        """
        given: object = requests  # of any type: callers need not check theirs
        if not isinstance(given, Iterable) or isinstance(given, str):
            raise InputError.of("requests", given, "a list of Request")
        requests = list(requests)
        for each in requests:
            if not isinstance(each, Request):
                raise InputError.of("one of requests", each, "a Request, such as Request('Hello.')")
        spoken: list[list[Audio]] = [[] for _ in requests]
        pieces = Pieces(self._tools, self._scheduler, requests)
        for number, audio in pieces:
            spoken[number].append(audio)
        return [Audio.of(parts, seed) for parts, seed in zip(spoken, pieces.seeds, strict=True)]


def _open_graphs(bundle: Bundle, backend: Backend, positions: int) -> tuple[FrameGraph, Graph]:
    """Open what makes frames and, beside it where that can be, tokenizer and codec.

    A process that ends meanwhile waits for it, whose thread ever this is: what it ended inside a
    library would abort it.
    """
    manifest = bundle.manifest

    def open_frame() -> FrameGraph:
        return backend.open_frame(bundle.folder, manifest.graphs, positions)

    def open_codec() -> Graph:
        return backend.open(bundle.folder, manifest.graph(CODEC_DECODER))

    with Threads(1, "opening") as beside, shared(threading.Lock()):
        if not backend.side_by_side:
            return open_frame(), open_codec()
        frame = beside.submit(open_frame)
        codec = open_codec()
        # Last: it keeps Python to itself, and the frame graph needs that when it begins.
        _ = bundle.tokenizer
        return frame.result(), codec


def _whole_numbers(given: object) -> bool:
    """Tell whether these are numbers to count with, one at least and each from 1."""
    return (
        isinstance(given, Sequence)
        and bool(given)
        and all(is_whole(number) and number >= 1 for number in given)
    )
