"""Codes → samples. State is carried, so any chunking gives the same samples."""

import time
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TypeAlias

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge.arrays import Codes, Samples, strange_codes
from qwen3_tts_edge.backends import Backend, Graph, State
from qwen3_tts_edge.bundle import CodecBundle
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, CodecManifest
from qwen3_tts_edge.codec.primed import Primed, fingerprint
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.opened import Opened
from qwen3_tts_edge.threads import Threads

FRAMES_AT_ONCE = 8
"""Frames a launch when all codes are there. What 25 make on the way is too large for the caches of
processors: no faster where it was measured, and 200 MB more memory for a released codec."""

_PRIMED = 8
"""States that are kept of sounds that speech goes on from: the last so many references."""


Pending: TypeAlias = "Future[tuple[Samples, float]]"
"""Samples that are being decoded, float32 (n,), and the seconds that it takes."""


class CodecDecoder(Opened):
    """The codec decoder's graph, for any number of streams of sound."""

    def __init__(self, graph: Graph, manifest: CodecManifest, backend: str) -> None:
        """Take the graph; `backend` is the name of what runs it."""
        self._graph = graph
        self._manifest = manifest
        self._backend = backend
        # Streams are decoded side by side where the graph allows it; else by whoever asks.
        self._threads = Threads(graph.at_once, "codec") if graph.at_once > 1 else None
        self._free: list[State] = []
        self._primed: OrderedDict[bytes, State] = OrderedDict()

    @classmethod
    def open(cls, bundle: CodecBundle, backend: Backend) -> Self:
        """Open the graph of a bundle. Errors are those of the backend."""
        graph = backend.open(bundle.folder, bundle.manifest.graph(CODEC_DECODER))
        return cls(graph, bundle.manifest, backend.name)

    def begin(self, reference: Codes | Primed | None = None) -> "DecoderStream":
        """Start a stream of sound.

        Args:
            reference: Codes that it goes on from, of which no samples are wanted; None starts from
                silence. The last few references are decoded once, and one that this decoder was
                primed with not at all.

        Raises:
            InputError: As for `DecoderStream.push`.
        """
        state = self._free.pop() if self._free else self._graph.state()
        state.clear()
        stream = DecoderStream(self._graph, self._manifest, state, self._threads)
        weakref.finalize(stream, self._free.append, state)
        if isinstance(reference, Primed) and reference.fits(self._manifest, self._backend):
            state.fill(reference.state)
            stream.position = len(reference.reference)
        elif reference is not None:
            codes = reference.reference if isinstance(reference, Primed) else reference
            self._decode_once(stream, codes)
        return stream

    def prime(self, reference: Codes) -> Primed:
        """Decode a reference, or take what is kept of it, to `begin` from in another process.

        Args:
            reference: As for `begin`.

        Raises:
            InputError: As for `DecoderStream.push`.
        """
        state = self.begin(reference).state
        return Primed(fingerprint(self._manifest), self._backend, reference, state.arrays())

    def decode(self, codes: Codes) -> Samples:
        """Decode codes that are complete.

        Args:
            codes: integers (frames, codebooks), each in 0..codebook_size - 1; no frame is silence.

        Returns:
            float32 (samples_per_frame * frames,).

        Raises:
            InputError: As for `DecoderStream.push`.
        """
        return np.concatenate([np.zeros(0, np.float32), *self.begin().pieces(codes)])

    def _decode_once(self, stream: "DecoderStream", reference: Codes) -> None:
        key = reference.tobytes()
        kept = self._primed.pop(key, None)
        if kept is None:
            for _ in stream.pieces(reference):
                pass
            full = len(self._primed) == _PRIMED
            kept = self._primed.popitem(last=False)[1] if full else self._graph.state()
            kept.copy(stream.state)
        else:
            stream.state.copy(kept)
            stream.position = len(reference)
        self._primed[key] = kept


class DecoderStream(Opened):
    """One stream of sound: what the graph carries from chunk to chunk, and where it is.

    Attributes:
        state: The graph's; it goes back to the decoder with the stream.
        position: Frames decoded so far.
    """

    def __init__(
        self,
        graph: Graph,
        manifest: CodecManifest,
        state: State,
        threads: Threads | None,
    ) -> None:
        self.state = state
        self.position = 0
        self._graph = graph
        self._manifest = manifest
        self._threads = threads

    def push(self, codes: Codes) -> Samples:
        """Decode the next frames.

        Args:
            codes: integers (frames, codebooks), each in 0..codebook_size - 1.

        Returns:
            float32 (samples_per_frame * frames,).

        Raises:
            InputError: Wrong shape, or a code outside the codebook.
        """
        self._check(codes)
        return self._decoded(codes)[0]

    def start(self, codes: Codes) -> Pending:
        """Decode the next frames, beside those of other streams if need be.

        What was started before has to be there already. Arguments and errors are those of `push`.
        """
        self._check(codes)
        if self._threads is not None:
            return self._threads.submit(self._decoded, codes)
        done: Pending = Future()
        done.set_result(self._decoded(codes))
        return done

    def _check(self, codes: Codes) -> None:
        expected = self._manifest.codebooks
        if codes.ndim != 2 or codes.shape[1] != expected or not len(codes):
            raise InputError(f"codes have shape {codes.shape}; expected (frames, {expected})")
        if (strange := strange_codes(codes, self._manifest.codebook_size)) is not None:
            raise InputError(f"codes {strange}")

    def _decoded(self, codes: Codes) -> tuple[Samples, float]:
        begun = time.perf_counter()
        most = self._graph.most.get("frames", len(codes))
        pieces = [codes[start : start + most] for start in range(0, len(codes), most)]
        samples = np.concatenate([self._launch(piece) for piece in pieces])
        return samples, time.perf_counter() - begun

    def pieces(self, codes: Codes) -> Iterator[Samples]:
        """Decode frames that are all there, `FRAMES_AT_ONCE` a launch.

        Args:
            codes: As for `push`; no frame is no piece.

        Yields:
            The samples of the next frames.

        Raises:
            InputError: As for `push`.
        """
        for start in range(0, len(codes), FRAMES_AT_ONCE):
            yield self.push(codes[start : start + FRAMES_AT_ONCE])

    def _launch(self, codes: Codes) -> Samples:
        inputs = {"codes": codes[None], "position": np.array([self.position])}
        samples = self._graph.run(inputs, self.state)["samples"][0]
        self.position += len(codes)
        found: Samples = samples.astype(np.float32, copy=False)
        return found
