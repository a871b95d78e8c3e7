"""Moments of every speaker, as the speaker encoder is shown them.

In: `speech/`. Out: `references.npz`, of each speaker some pieces of three seconds.
"""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from qwen3_tts_edge.atomic import whole_or_nothing
from qwen3_tts_voice.codes import load_shard
from qwen3_tts_voice.decoder_model import official
from qwen3_tts_voice.speech import LEAD, RATE

REFERENCES = "references.npz"
SECONDS = 3
EACH = 8
"""Pieces of a speaker, at most."""
SHORTEST, LONGEST = 0.2, 0.5
"""Share of a piece that is shown: of longer ones the mean says more, and no less."""


def mel(samples: torch.Tensor) -> torch.Tensor:
    """Turn samples (n, time) into the official log-mel (n, frames, 128)."""
    official()
    from qwen_tts.core.models.modeling_qwen3_tts import mel_spectrogram

    size = {"n_fft": 1024, "num_mels": 128, "sampling_rate": RATE, "hop_size": 256}
    made: torch.Tensor = mel_spectrogram(samples, **size, win_size=1024, fmin=0, fmax=RATE // 2)
    return made.transpose(1, 2)


def write(work: Path) -> str:
    """Cut the pieces out of all speech, each from another utterance; says how many there are."""
    found: defaultdict[int, list[torch.Tensor]] = defaultdict(list)
    size = SECONDS * RATE
    for path in sorted((work / "speech").glob("????.npz")):
        shard = load_shard(path)
        for start, end, number in zip(
            shard["offset"][:-1], shard["offset"][1:], shard["speaker"], strict=True
        ):
            if end - start >= LEAD + size and len(found[number]) < EACH:
                piece = shard["samples"][start + LEAD :][:size].astype(np.float32) / 2**15
                found[number].append(mel(torch.from_numpy(piece)[None])[0].half())
    with whole_or_nothing(work / REFERENCES) as part, part.open("wb") as file:
        np.savez(file, **{str(n): torch.stack(pieces).numpy() for n, pieces in found.items()})
    return f"{sum(map(len, found.values()))} pieces of {len(found)} speakers"


class References:
    """The pieces, to draw from."""

    def __init__(self, work: Path) -> None:
        self._pieces = {
            int(n): torch.from_numpy(p) for n, p in load_shard(work / REFERENCES).items()
        }

    def draw(self, numbers: list[int], draw: random.Random) -> torch.Tensor:
        """Draw a piece (n, frames, 128) of each of these speakers, all of one length."""
        whole = next(iter(self._pieces.values())).shape[1]
        size = draw.randint(int(whole * SHORTEST), int(whole * LONGEST))
        drawn = []
        for number in numbers:
            piece = draw.choice(self._pieces[number])
            first = draw.randint(0, whole - size)
            drawn.append(piece[first : first + size])
        return torch.stack(drawn).float()
