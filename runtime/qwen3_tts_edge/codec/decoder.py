"""Frames → samples, state carried: any chunking gives the same samples."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.backends import Graph
from qwen3_tts_edge.bundle.manifest import CodecManifest
from qwen3_tts_edge.errors import InputError

Samples = npt.NDArray[np.float32]
"""float32 (n,) in [-1, 1], mono, 24 kHz."""

RAMP = (1, 2, 4, 8)
"""Frames a chunk: one for a fast first sound, then more, because larger chunks cost less each."""


class CodecDecoder:
    """The codec decoder's graph and its place in the utterance."""

    def __init__(self, graph: Graph, manifest: CodecManifest) -> None:
        self._graph = graph
        self._manifest = manifest
        self._position = 0

    def begin(self) -> None:
        """Start an utterance from silence."""
        self._position = 0
        self._graph.reset()

    def push(self, codes: npt.NDArray[np.int64]) -> Samples:
        """Decode the next frames.

        Args:
            codes: integers (frames, codebooks), each in 0..codebook_size - 1.

        Returns:
            float32 (samples_per_frame * frames,).

        Raises:
            InputError: Wrong shape, or a code outside the codebook.
        """
        expected = self._manifest.codebooks
        if codes.ndim != 2 or codes.shape[1] != expected or not len(codes):
            raise InputError(f"codes have shape {codes.shape}; expected (frames, {expected})")
        if codes.min() < 0 or codes.max() >= self._manifest.codebook_size:
            raise InputError(
                f"codes range over {codes.min()}..{codes.max()}; "
                f"the codebooks have 0..{self._manifest.codebook_size - 1}"
            )
        most = self._graph.most.get("frames", len(codes))
        pieces = [codes[start : start + most] for start in range(0, len(codes), most)]
        return np.concatenate([self._launched(piece) for piece in pieces])

    def _launched(self, codes: npt.NDArray[np.int64]) -> Samples:
        inputs = {"codes": codes[None], "position": np.array([self._position])}
        self._position += len(codes)
        samples: Samples = self._graph.run(inputs)["samples"][0].astype(np.float32, copy=False)
        return samples


def chunks(
    frames: Iterable[npt.NDArray[np.int64]], sizes: Sequence[int] = RAMP
) -> Iterator[npt.NDArray[np.int64]]:
    """Group frames into chunks of the given sizes, the last size over and over.

    Args:
        frames: int64 (codebooks,) each.
        sizes: Frames per chunk, each at least 1.

    Yields:
        int64 (size, codebooks); the last one may be shorter.
    """
    waiting: list[npt.NDArray[np.int64]] = []
    sizes = list(sizes)
    for frame in frames:
        waiting.append(frame)
        if len(waiting) == sizes[0]:
            yield np.stack(waiting)
            waiting = []
            if len(sizes) > 1:
                sizes.pop(0)
    if waiting:
        yield np.stack(waiting)
