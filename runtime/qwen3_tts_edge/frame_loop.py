"""The one loop: prompt → frames, until end of speech. Nothing else in the runtime loops."""

from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.backends import Graph
from qwen3_tts_edge.embeddings import Rows
from qwen3_tts_edge.errors import CapacityError
from qwen3_tts_edge.manifest import Manifest
from qwen3_tts_edge.prompt import Prompt
from qwen3_tts_edge.sampling import MIN_FRAMES, Sampling, draws

Codes = npt.NDArray[np.int64]
"""int64 (codebooks,): one frame, codebook 0 first."""


class FrameStep:
    """The frame graph and what it has read so far: its position in the KV cache."""

    def __init__(self, graph: Graph, manifest: Manifest, capacity: int) -> None:
        self.capacity = capacity
        self._graph = graph
        self._manifest = manifest
        self._position = 0
        self._settings: dict[str, npt.NDArray[np.generic]] = {}

    def begin(self, sampling: Sampling) -> None:
        """Start an utterance. What the KV cache held is never read again, so it stays."""
        self._position = 0
        self._graph.reset("past.feedback", "past.seen")
        self._settings = sampling.inputs(self._manifest.vocab_size, self._manifest.codebook_size)

    def run(self, rows: Rows, draws: npt.NDArray[np.float32], *, allow_end: bool) -> Codes:
        """Read rows and make the frame that follows them.

        Args:
            rows: float32 (n, hidden): the prompt, or one text row.
            draws: float32 (codebooks,).
            allow_end: Whether the frame may be the end of speech.

        Raises:
            CapacityError: The KV cache is full.
        """
        if self._position + len(rows) > self.capacity:
            raise CapacityError(
                f"{self._position + len(rows)} positions, the KV cache holds {self.capacity}; "
                "open the bundle with a larger max_seconds or say less at a time"
            )
        outputs = self._graph.run(
            {
                "rows": rows[None],
                "length": np.array([len(rows)]),
                "position": np.array([self._position]),
                "draws": draws[None],
                "allow_end": np.array([allow_end]),
                **self._settings,
            }
        )
        self._position += len(rows)
        codes: Codes = outputs["codes"][0].astype(np.int64, copy=False)
        return codes


def frames(
    step: FrameStep,
    prompt: Prompt,
    sampling: Sampling,
    *,
    seed: int,
    manifest: Manifest,
    limit: int,
) -> Generator[Codes, None, bool]:
    """Yield one frame for every 80 ms of speech.

    Args:
        step: The frame graph.
        prompt: What to say.
        sampling: Complete settings.
        seed: Of the draws.
        manifest: Of the bundle.
        limit: At most this many frames.

    Returns:
        Whether the speech ended by itself; False when the limit cut it.

    Source: Qwen3TTSTalkerForConditionalGeneration.forward in
        qwen_tts/core/models/modeling_qwen3_tts.py, and the `generate` that drives it.
    """
    step.begin(sampling)
    rows = prompt.rows
    for frame in range(limit):
        numbers = draws(seed, frame, manifest.codebooks)
        codes = step.run(rows, numbers, allow_end=frame >= MIN_FRAMES)
        if codes[0] == manifest.control_codes.end_of_speech:
            return True
        yield codes
        rows = prompt.text_row(frame)
    return False
