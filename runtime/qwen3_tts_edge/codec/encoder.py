"""Samples → frames of codes.

The codec encoder attends from every moment to all before it, so what it says of a moment depends
on the whole recording, and the work grows with the square of its length. Up to `EXACT_SECONDS` a
recording is encoded whole, and its codes are the official ones. What is longer is encoded in
windows of that length, each beginning with sound that the window before has coded already: memory
stays constant, and codes after the first window may differ from those of the whole. With the random
weights of the tests, whose attention falls off nowhere, 99 % of codebook 0 and 90 % of all codes of
the second minute are the same (20 s of context: 99 and 86 %); trained encoders were not measured.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge.arrays import Codes, Samples
from qwen3_tts_edge.backends import Backend, Graph
from qwen3_tts_edge.bundle import CodecBundle
from qwen3_tts_edge.bundle.manifest import CODEC_ENCODER, CodecManifest
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.opened import Opened

EXACT_SECONDS = 60.0
"""The longest recording that is encoded whole."""

HEARD_SECONDS = 40.0
"""How much of a later window is context, which the window before has coded. The configuration names
10 s a layer; the official code does not apply it."""


class CodecEncoder(Opened):
    """The codec encoder's graph."""

    def __init__(self, graph: Graph, manifest: CodecManifest) -> None:
        self._graph = graph
        self._state = graph.state()
        self._per_frame = manifest.samples_per_frame
        self._per_second = manifest.frames_per_second

    @classmethod
    def open(cls, bundle: CodecBundle, backend: Backend) -> Self:
        """Open the graph of a bundle.

        Raises:
            InputError: The bundle has none.
            BundleError: It is damaged.
        """
        manifest = bundle.manifest
        if CODEC_ENCODER not in manifest.graphs:
            raise InputError(
                f"{bundle.folder} has no codec encoder: it is of a "
                f"{manifest.checkpoint.model_type} checkpoint",
                "use the bundle of a Base one",
            )
        return cls(backend.open(bundle.folder, manifest.graph(CODEC_ENCODER)), manifest)

    def encode(self, samples: Samples) -> Codes:
        """Encode a recording whole, whatever its length; memory grows with its square.

        Args:
            samples: float32 (n,), at least one.

        Returns:
            int64 (ceil(n / 1920), codebooks). The last frame may hear fewer than 1920 samples.

        Raises:
            InputError: Not one channel, or no sound at all.
        """
        if samples.ndim != 1 or not len(samples):
            raise InputError(f"samples have shape {samples.shape}; expected (n,), at least one")
        inputs = {"samples": samples[None].astype(np.float32, copy=False)}
        codes: Codes = self._graph.run(inputs, self._state)["codes"][0].astype(np.int64)
        return codes

    def windows(
        self,
        blocks: Iterable[Samples],
        *,
        exact_seconds: float = EXACT_SECONDS,
        heard_seconds: float = HEARD_SECONDS,
    ) -> Iterator[Codes]:
        """Encode a recording of any length in constant memory.

        Up to `exact_seconds` the codes are those of `encode`.

        Args:
            blocks: The samples, in pieces of any length.
            exact_seconds: Length of a window.
            heard_seconds: How much of a later one has been coded by the window before; less.

        Yields:
            int64 (frames, codebooks): together ceil(n / 1920) frames.
        """
        window = round(exact_seconds * self._per_second) * self._per_frame
        context = round(heard_seconds * self._per_second) * self._per_frame
        waiting, heard = np.zeros(0, np.float32), 0
        for block in blocks:
            waiting = np.concatenate([waiting, block])
            # Not yet at exactly one window: it may be the last.
            while len(waiting) > window:
                codes = self.encode(waiting[:window])
                yield codes[heard // self._per_frame :]
                heard = context
                waiting = waiting[window - heard :]
        if len(waiting) > heard:
            yield self.encode(waiting)[heard // self._per_frame :]
