"""Reference samples → a clone: the two encoders of a base bundle, opened when first needed.

In: mono float32 at 24 kHz. Out: speaker vectors, codes, and `Clone`s that know which checkpoints
they belong to. It speaks nothing, so a voice can be created without loading the talker. To prime
one takes the codec's decoder.
"""

import hashlib
from datetime import datetime, timezone
from functools import cached_property
from threading import RLock

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge.arrays import Samples, Vector
from qwen3_tts_edge.backends import Backend, Graph, State, open_backend
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, CODEC_ENCODER, SPEAKER_ENCODER
from qwen3_tts_edge.bundle.names import BASE
from qwen3_tts_edge.codec.decoder import CodecDecoder
from qwen3_tts_edge.codec.encoder import CodecEncoder
from qwen3_tts_edge.errors import BundleError, InputError
from qwen3_tts_edge.forks import shared
from qwen3_tts_edge.opened import Opened
from qwen3_tts_edge.version import VERSION
from qwen3_tts_edge.voices.matching import match
from qwen3_tts_edge.voices.mel import SAMPLE_RATE, log_mel
from qwen3_tts_edge.voices.profile import Family, Provenance
from qwen3_tts_edge.voices.reference import Reference, Source, read_reference
from qwen3_tts_edge.voices.transcript import compare
from qwen3_tts_edge.voices.voice import Clone


class Listener(Opened):
    """The speaker encoder and the codec encoder of a Base bundle."""

    def __init__(self, bundle: Bundle, backend: Backend) -> None:
        """Take a bundle; no graph is opened yet."""
        self._bundle = bundle
        self._manifest = bundle.manifest
        self._backend = backend
        self._lock = shared(RLock())

    @classmethod
    def open(cls, bundle: Bundle, *, backend: str = "auto", threads: int | None = None) -> Self:
        """Open a bundle for listening alone; the files that it takes are verified.

        Raises:
            BackendError: The backend is not installed.
            BundleError: The bundle is damaged.
        """
        opened = open_backend(backend, flavour=bundle.manifest.flavour, threads=threads)
        listener = cls(bundle, opened)
        listener.check()
        bundle.verify(SPEAKER_ENCODER, CODEC_ENCODER, CODEC_DECODER)
        return listener

    def voice(
        self,
        ref_audio: Source | Reference,
        ref_text: str | None = None,
        *,
        keep_silence: bool = False,
        **notes: str | None,
    ) -> Clone:
        """Hear a voice, to speak with it.

        Args:
            ref_audio: The recording, see `reference.Source`.
            ref_text: What it says, word for word: the voice is then cloned in context, which
                copies more of it. None takes the speaker vector alone. See `clone`.
            keep_silence: See `read_reference`.
            **notes: `consent` and `design` of `Provenance`.

        Raises:
            InputError: The checkpoint does not clone, the recording is no material for it, or the
                text is empty.
            OSError: The recording cannot be opened.
        """
        self.check(ref_text)
        if isinstance(ref_audio, Reference):
            reference = ref_audio
        else:
            reference = read_reference(ref_audio, keep_silence=keep_silence)
        return self.clone(reference.samples, ref_text, self._provenance(reference, **notes))

    def given(self, vector: Vector, **notes: str | None) -> Clone:
        """Take a speaker vector that this checkpoint's encoder made elsewhere, as a voice.

        Args:
            vector: float32 (hidden,).
            **notes: As for `voice`.

        Raises:
            InputError: The checkpoint does not clone, or this is no vector of its encoder.
        """
        self.check()
        found = hashlib.sha256(vector.astype("<f4").tobytes()).hexdigest()
        heard = Reference(np.zeros(0, np.float32), None, found, 0.0)
        voice = Clone(
            vector, None, None, Family.of(self._manifest), self._provenance(heard, **notes)
        )
        match(self._manifest, voice, None)
        return voice

    def _provenance(self, reference: Reference, **notes: str | None) -> Provenance:
        return Provenance(
            source=reference.name,
            sha256=reference.sha256,
            seconds=round(reference.seconds, 3),
            clipped=round(reference.clipped, 6),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            made_with=f"qwen3-tts-edge {VERSION}",
            checkpoint=self._manifest.checkpoint.name,
            **notes,
        )

    def clone(
        self, samples: Samples, text: str | None = None, provenance: Provenance | None = None
    ) -> Clone:
        """Hear samples of any length that the encoders take; `voice` checks more.

        Args:
            samples: The recording.
            text: What it says, or None. One that cannot belong to the recording is used, with a
                warning in the log.
            provenance: Where it comes from.

        Raises:
            InputError: The checkpoint does not clone, or the text is empty.
        """
        self.check(text)
        if text is not None:
            compare(text, len(samples) / SAMPLE_RATE)
        with self._lock:  # a graph's buffers are one listener's at a time
            vector = self.speaker_vector(samples)
            codes = None if text is None else self.encoder.encode(samples)
        return Clone(vector, codes, text, Family.of(self._manifest), provenance)

    def speaker_vector(self, samples: Samples) -> Vector:
        """Hear who is speaking.

        Raises:
            BundleError: The encoder's weights are damaged: what comes out are no numbers.

        Source: extract_speaker_embedding in qwen_tts/core/models/modeling_qwen3_tts.py.
        """
        graph, state = self._speaker_graph
        vectors = graph.run({"mel": log_mel(samples)[None]}, state)["vector"]
        found: Vector = vectors[0].astype(np.float32)
        if not np.isfinite(found).all():
            raise BundleError(
                f"the speaker encoder of {self._bundle.folder} makes no numbers of this recording",
                "export the bundle again",
            )
        return found

    @cached_property
    def encoder(self) -> CodecEncoder:
        """The codec encoder, opened when first asked for."""
        self.check()
        return CodecEncoder.open(self._bundle, self._backend)

    def prime(self, clone: Clone) -> Clone:
        """Decode a clone's reference, as `Clone.prime` says, with the bundle's codec decoder."""
        with self._lock:
            return clone.prime(self._decoder)

    @cached_property
    def _decoder(self) -> CodecDecoder:
        return CodecDecoder.open(self._bundle, self._backend)

    @cached_property
    def _speaker_graph(self) -> tuple[Graph, State]:
        self.check()
        graph = self._backend.open(self._bundle.folder, self._manifest.graph(SPEAKER_ENCODER))
        return graph, graph.state()

    def check(self, text: str | None = None) -> None:
        """Refuse a checkpoint that does not clone voices, and a text that says nothing.

        Args:
            text: What a reference says, or None.

        Raises:
            InputError: The checkpoint is none of the Base ones, or the text is none or empty.
        """
        if self._manifest.checkpoint.model_type != BASE:
            raise InputError(
                f"a {self._manifest.checkpoint.model_type} checkpoint does not clone voices",
                "use the bundle of a Base checkpoint, such as Qwen/Qwen3-TTS-12Hz-0.6B-Base",
            )
        given: object = text  # of any type: callers need not check theirs
        if not isinstance(given, str | None):
            raise InputError.of("ref_text", given, "what the recording says, in words")
        if text is not None and not (
            self._bundle.tokenizer.text(text) and any(map(str.isalnum, text))
        ):
            raise InputError(
                "the reference's text is empty, or has no letter or digit",
                "write what the recording says, or leave it out to clone from the speaker vector "
                "alone",
            )
