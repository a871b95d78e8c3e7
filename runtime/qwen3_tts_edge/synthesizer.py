"""Open a bundle and speak: text → ids → prompt → frames → samples → chunks."""

import secrets
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge.backends import Backend, FrameGraph, Graph, open_backend
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, TOKENIZER, Manifest
from qwen3_tts_edge.bundle.memory import capacity, frame_count, frame_limit
from qwen3_tts_edge.bundle.tokenizer import Tokenizer
from qwen3_tts_edge.codec.decoder import RAMP, CodecDecoder, chunks
from qwen3_tts_edge.errors import CapacityError, InputError, Qwen3TTSError
from qwen3_tts_edge.speech.chunk import Audio, Chunk
from qwen3_tts_edge.speech.metrics import Metrics, timed
from qwen3_tts_edge.speech.patience import other_seeds, patience
from qwen3_tts_edge.speech.prompt import AUTO, Prompt, PromptBuilder
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.sampling import Sampling
from qwen3_tts_edge.speech.slots import Codes, FrameStep, Utterance, frames
from qwen3_tts_edge.voices.listener import Listener
from qwen3_tts_edge.voices.reference import Reference, Source
from qwen3_tts_edge.voices.voice import Voice

DECODED_AT_ONCE = 25
"""Frames a codec launch when all codes are there: little gain beyond, and memory grows."""


class Synthesizer:
    """A bundle, opened. It speaks one request at a time: a new one ends the one before.

    Not for several threads at once.

    Attributes:
        folder: The bundle.
        manifest: What it says about itself.
        backend: What runs its graphs, by name.
        prompts: Text → prompt.
        step: The frame graph: prompt → frames.
        codec: The codec decoder: frames → samples.
        listener: The encoders of a base bundle: reference audio → a voice.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        backend: Backend,
        step_graph: FrameGraph,
        codec_graph: Graph,
    ) -> None:
        """Put the rooms together; `open` is the way in."""
        self.manifest = manifest
        self.folder = folder
        self.backend = backend.name
        tokenizer = Tokenizer.load(folder / TOKENIZER)
        self.prompts = PromptBuilder(folder, manifest, tokenizer)
        self.listener = Listener(folder, manifest, backend, tokenizer)
        self._graphs: tuple[FrameGraph, Graph] = (step_graph, codec_graph)
        self.step = FrameStep(step_graph, manifest)
        self.codec = CodecDecoder(codec_graph, manifest)
        self._batch: tuple[int, FrameStep] | None = None
        self._request = 0

    @classmethod
    def open(
        cls,
        bundle: str | Path | None = None,
        *,
        backend: str = "auto",
        threads: int | None = None,
        max_seconds: float | None = None,
        verify: bool = True,
    ) -> Self:
        """Open a bundle.

        Args:
            bundle: Its folder; None is the voice that comes with the package.
            backend: One of `backends.BACKENDS`.
            threads: CPU threads a launch may use; None is one per physical core.
            max_seconds: The longest utterance; decides how large the KV cache is. None is 160,
                or less where the checkpoint knows fewer positions; with TensorRT it is what the
                engines were built for.
            verify: Compare every file with its hash first.

        Raises:
            BundleError: Not a bundle, damaged, or made by another version.
            BackendError: The backend is not installed.
            CapacityError: `max_seconds` is more than the checkpoint has positions for.
        """
        from qwen3_tts_edge.bundle.bundled import bundled_voice

        folder = bundled_voice() if bundle is None else Path(bundle).expanduser()
        manifest = Manifest.load(folder)
        positions = capacity(manifest, max_seconds)
        if verify:
            manifest.verify(folder)
        opener = open_backend(backend, flavour=manifest.flavour, threads=threads)
        sizes = {"batch": 1, "capacity": positions}
        step = opener.open_frame(folder, manifest.graphs, sizes)
        if max_seconds is not None and step.capacity < positions:
            raise CapacityError(
                f"max_seconds {max_seconds} needs {positions} positions, the engines were built "
                f"for {step.capacity}; build them again, for a --max-seconds of {max_seconds}"
            )
        codec = opener.open(folder, manifest.graphs[CODEC_DECODER], {"batch": 1})
        return cls(folder, manifest, opener, step, codec)

    @property
    def speakers(self) -> list[str]:
        """The named speakers, sorted; empty for a checkpoint that designs its voices."""
        return self.prompts.speakers

    @property
    def languages(self) -> list[str]:
        """What `language` may be."""
        return self.prompts.languages

    def clone(self, ref_audio: Source | Reference, ref_text: str | None = None) -> Voice:
        """Hear a voice, to speak with it: with `ref_text`, what the recording says, in context.

        Arguments and errors are those of `Listener.voice`. It ends no request.
        """
        return self.listener.voice(ref_audio, ref_text)

    def stream(
        self,
        text: str,
        voice: Voice | None = None,
        *,
        language: str = AUTO,
        instruct: str | None = None,
        text_layout: str | None = None,
        sampling: Sampling | None = None,
        seed: int | None = None,
        max_seconds: float | None = None,
        chunk_frames: Sequence[int] = RAMP,
    ) -> Iterator[Chunk]:
        """Speak, chunk by chunk. The samples do not depend on the chunking.

        Everything asked for is checked now, before the first chunk is asked for.

        Args:
            text: What to say.
            voice: Who says it; None is the first named speaker.
            language: One of `languages`.
            instruct: How to say it, in words, where the checkpoint takes it.
            text_layout: `upfront` or `streamed`; None is what the checkpoint was made for.
            sampling: None is the checkpoint's defaults.
            seed: 0 to 2**64 - 1; None draws one.
            max_seconds: Cut the speech after this long. None is several times as long as the text
                takes, for what goes on after that has run away.
            chunk_frames: Frames a chunk, 80 ms each; the last number goes on.

        Raises:
            InputError: Something asked for is not to be had; says what is.
            CapacityError: The KV cache is too small for it.
        """
        request = Request(text, voice, language, instruct, text_layout, sampling, seed, max_seconds)
        return self._stream(request, chunk_frames)

    def speak(
        self,
        text: str,
        voice: Voice | None = None,
        *,
        language: str = AUTO,
        instruct: str | None = None,
        text_layout: str | None = None,
        sampling: Sampling | None = None,
        seed: int | None = None,
        max_seconds: float | None = None,
        chunk_frames: Sequence[int] = RAMP,
    ) -> Audio:
        """Speak all of it: `stream`, put together. Arguments and errors are those of `stream`.

        Speech that has run away is begun anew, with the next seed, twice at most.
        """
        request = Request(
            text, voice, language, instruct, text_layout, sampling, _seed(seed), max_seconds
        )
        return self._ended(request, self._whole(request, chunk_frames), chunk_frames)

    def speak_batch(self, requests: Sequence[Request]) -> list[Audio]:
        """Speak several requests at once, as slots of one batch: more sound a second, not sooner.

        Each is what `speak` makes of it alone with the same seed. Errors are those of `speak`.
        What has run away is begun anew by itself.
        """
        started = time.perf_counter()
        utterances = [self._utterance(request) for request in requests]
        if not utterances:
            return []
        self._request += 1
        spoken = zip(*frames(self._slots(len(utterances)), utterances, self.manifest), strict=True)
        made = [
            self._decoded(utterance, [frame for frame in mine if frame is not None], started)
            for utterance, mine in zip(utterances, spoken, strict=True)
        ]
        return [self._ended(request, audio) for request, audio in zip(requests, made, strict=True)]

    def _stream(self, request: Request, chunk_frames: Sequence[int]) -> Iterator[Chunk]:
        started = time.perf_counter()
        if not chunk_frames or min(chunk_frames) < 1:
            raise InputError(f"chunk_frames is {chunk_frames}; expected whole numbers from 1")
        utterance = self._utterance(request)
        metrics = Metrics(self.manifest.sample_rate)
        metrics.prompt = metrics.total = time.perf_counter() - started
        self._request += 1
        spoken = timed(self._frames(self._request, utterance, metrics), metrics.frames)
        return self._chunks(self._request, utterance.prompt, spoken, chunk_frames, metrics)

    def _whole(self, request: Request, chunk_frames: Sequence[int]) -> Audio:
        assert request.seed is not None
        return Audio.of(list(self._stream(request, chunk_frames)), request.seed)

    def _ended(
        self, request: Request, audio: Audio, chunk_frames: Sequence[int] = (DECODED_AT_ONCE,)
    ) -> Audio:
        """The same, or if that has run away, what another seed makes of the request."""
        others = other_seeds(audio.seed, self._settings(request))
        while audio.metrics.ran_away and (seed := next(others, None)) is not None:
            attempts = audio.metrics.attempts + 1
            audio = self._whole(replace(request, seed=seed), chunk_frames)
            audio.metrics.attempts = attempts
        return audio

    def _slots(self, count: int) -> FrameStep:
        """What makes frames for so many at once. The last is kept, for what it has captured."""
        if self._batch is None or self._batch[0] != count:
            self._batch = count, self.step.resized(count)
        return self._batch[1]

    def _decoded(self, utterance: Utterance, spoken: list[Codes], started: float) -> Audio:
        """Sound of codes that are complete. Its metrics say when it was ready, no more."""
        sizes, metrics = (DECODED_AT_ONCE,), Metrics(self.manifest.sample_rate)
        chunks_made = self._chunks(self._request, utterance.prompt, iter(spoken), sizes, metrics)
        samples = np.concatenate([chunk.samples for chunk in chunks_made])
        metrics = Metrics(self.manifest.sample_rate, samples=len(samples))
        metrics.ended, metrics.ran_away = utterance.ended, utterance.ran_away
        metrics.ttfa = metrics.total = time.perf_counter() - started
        codes = np.stack(spoken)
        return Audio(samples, codes, self.manifest.sample_rate, utterance.seed, metrics)

    def _utterance(self, request: Request) -> Utterance:
        prompt = self.prompts.build(
            request.text,
            request.voice,
            language=request.language,
            instruct=request.instruct,
            text_layout=request.text_layout,
        )
        limit = frame_limit(
            self.manifest, self.step.capacity, len(prompt.rows), request.max_seconds
        )
        longest = frame_count(self.manifest, patience(request.text))
        patient = request.max_seconds is None and longest <= limit
        return Utterance(
            prompt,
            sampling=self._settings(request),
            seed=_seed(request.seed),
            limit=longest if patient else limit,
            patient=patient,
        )

    def _settings(self, request: Request) -> Sampling:
        return (request.sampling or Sampling()).over(self.manifest.sampling)

    def _frames(
        self, request: int, utterance: Utterance, metrics: Metrics
    ) -> Generator[Codes, None, None]:
        for (codes,) in frames(self.step, [utterance], self.manifest):
            assert codes is not None
            yield codes
            self._check_turn(request)
        metrics.ended, metrics.ran_away = utterance.ended, utterance.ran_away

    def _chunks(
        self,
        request: int,
        prompt: Prompt,
        spoken: Iterator[Codes],
        chunk_frames: Sequence[int],
        metrics: Metrics,
    ) -> Iterator[Chunk]:
        self._check_turn(request)
        resumed = time.perf_counter()
        launched = self._launched()
        self.codec.begin()
        if prompt.heard is not None:
            self.codec.push(prompt.heard)  # the speech goes on from the reference's sound
        for codes in chunks(spoken, chunk_frames):
            start = time.perf_counter()
            samples = self.codec.push(codes)
            now = time.perf_counter()
            metrics.codec.append((now - start, len(codes)))
            metrics.samples += len(samples)
            metrics.launches += self._launched() - launched
            metrics.total += now - resumed
            metrics.ttfa = metrics.ttfa or metrics.total
            yield Chunk(samples, codes, self.manifest.sample_rate, metrics)
            resumed, launched = time.perf_counter(), self._launched()
        metrics.launches += self._launched() - launched
        metrics.total += time.perf_counter() - resumed

    def _check_turn(self, request: int) -> None:
        """Graphs have one state: whoever asked last has them."""
        if request != self._request:
            raise Qwen3TTSError("a newer request to this synthesizer ended this one")

    def _launched(self) -> float:
        return sum(graph.seconds for graph in self._graphs)


def _seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbits(32)
    if not 0 <= seed < 2**64:
        raise InputError(f"seed is {seed}; it must be from 0 to 2**64 - 1")
    return seed
