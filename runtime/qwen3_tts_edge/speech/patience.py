"""How long a text may take to speak, and how short is too short to have been all of it.

About one request in two hundred of the released checkpoints never says its end of speech: a murmur
or near silence follows, to the limit. Others say it far too early, and the rest of the text is
lost. Another seed is the cure, for whether it happens hangs on the draws; and to notice it, a
generous guess of what the text takes is enough.

Source: https://github.com/QwenLM/Qwen3-TTS/issues/118, one in 200 requests;
    https://github.com/sgl-project/sglang-omni/issues/1179, 207 in 60,424;
    https://github.com/QwenLM/Qwen3-TTS/issues/181, speech that ends early.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from qwen3_tts_edge.bundle.manifest import Manifest, SamplingDefaults
from qwen3_tts_edge.bundle.memory import frame_count, frame_limit, frame_room
from qwen3_tts_edge.pace import patience

_MORE_SEEDS = 2
"""If one in two hundred runs away, three in a row are one in eight million."""


@dataclass(frozen=True)
class Limit:
    """Where speech is cut.

    Attributes:
        frames: After so many.
        kind: Why there. `asked`: max_seconds was given. `patience`: its text takes a fraction of
            it, so more would be no speech. `checkpoint`: its own max_new_tokens. `memory`: the KV
            cache is full.
    """

    frames: int
    kind: Literal["asked", "patience", "checkpoint", "memory"]


def limit(
    manifest: Manifest, capacity: int, prompt: int, text: str | None, max_seconds: float | None
) -> Limit:
    """Choose where speech is cut: at what was asked for, or else at the first of the others.

    What was asked for is a ceiling: it may be for a long text, and more than one utterance holds.

    Args:
        manifest: Of the bundle.
        capacity: Positions of the KV cache.
        prompt: Of these, the prompt's.
        text: What is said; None while it still grows, and then patience is endless.
        max_seconds: What was asked for, or None.

    Raises:
        CapacityError: There is no room for the prompt.
        InputError: `max_seconds` is not above 0.
    """
    if max_seconds is not None:
        asked, room = frame_count(manifest, max_seconds), frame_room(manifest, capacity, prompt)
        return Limit(asked, "asked") if asked <= room else Limit(room, "memory")
    frames = frame_limit(manifest, capacity, prompt)
    if text is not None and (longest := frame_count(manifest, patience(text))) <= frames:
        return Limit(longest, "patience")
    own = frames == manifest.sampling.max_new_tokens - 1
    return Limit(frames, "checkpoint" if own else "memory")


def other_seeds(seed: int, settings: SamplingDefaults) -> Iterator[int]:
    """Give the seeds to begin anew with, one after the other; none where nothing is drawn.

    Args:
        seed: That of the speech that went wrong.
        settings: How its codes were chosen.
    """
    if settings.do_sample or settings.subtalker_dosample:
        for more in range(1, _MORE_SEEDS + 1):
            yield (seed + more) % 2**64
