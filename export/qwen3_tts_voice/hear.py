"""Let the trained encoder hear the speech, for the decoder to live with what it mistakes.

A clone in context begins with codes that were heard, and who encodes a recording decodes such.
In: `speech/`, `codes/`, `encoder.pt`. Out: `heard/0000.npy` …, (frames, 16) uint8, each where the
true codes of the same sound are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from qwen3_tts_voice import training
from qwen3_tts_voice.codes import evenly, load_shard, utterances
from qwen3_tts_voice.encoder import LATE, Encoder


@torch.no_grad()
def heard(encoder: Encoder, samples: torch.Tensor) -> torch.Tensor:
    """Give the codes (frames, 16) that it says of samples (time,), where they belong.

    The last ones, which it would say after the end, repeat the last that it says.
    """
    said = torch.stack([logits.argmax(-1)[0] for logits in encoder(samples[None])], 1)
    return torch.cat([said[LATE:], said[-1:].expand(LATE, -1)])


def hear(work: Path, shards: int) -> Iterator[str]:
    """Write what is heard of as many shards as the decoder reads; yields progress."""
    encoder = Encoder(seed=0)
    encoder.load_state_dict(training.averaged(work, "encoder"))
    encoder.eval()
    folder = work / "heard"
    folder.mkdir(exist_ok=True)
    for path in evenly(work / "codes", shards):
        target = folder / f"{path.stem}.npy"
        if target.exists():
            continue
        speech = load_shard(work / "speech" / path.name)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = torch.cat([heard(encoder, u["samples"]) for u in utterances(speech)]).numpy()
        np.save(target, found.astype(np.uint8))
        right = (found == load_shard(path)["codes"]).mean(0)
        yield f"{path.stem}: {right[0]:.1%} of codebook 0 right, {right[1:].mean():.1%} of others"
