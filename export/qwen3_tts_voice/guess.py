"""Let the trained talker predict the residual codebooks from true codes before them.

The decoder then learns from the codes it will really be given: a guess is another sound than noise.
In: `codes/`, `references.npz`, `text.txt`, `talker.pt`, the tokenizer. Out: `guessed/0000.npy` …,
(frames, 2) uint8.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from qwen3_tts_voice import talker_data as data
from qwen3_tts_voice import training
from qwen3_tts_voice.codes import BOOKS, CODEBOOKS, DESCRIBED, Quantiser, evenly
from qwen3_tts_voice.references import References
from qwen3_tts_voice.talker_model import Talker
from qwen3_tts_voice.text_ids import TextIds

AT_ONCE = 32


@torch.no_grad()
def guess(work: Path, tokenizer: Path, shards: int) -> Iterator[str]:
    """Write the guesses for as many shards as the decoder reads; yields progress."""
    talker = Talker(Quantiser.load(work / CODEBOOKS), seed=0)
    talker.load_state_dict(training.averaged(work, "talker"), strict=False)
    talker.eval()
    text_ids, references = TextIds(tokenizer), References(work)
    sentences = data.sentences(work)
    folder = work / "guessed"
    folder.mkdir(exist_ok=True)
    for path in evenly(work / "codes", shards):
        target = folder / f"{path.stem}.npy"
        if target.exists():
            continue
        spoken = list(data.read(path, sentences))
        guessed: list[np.ndarray] = [np.empty(0)] * len(spoken)
        right = 0.0
        by_length = sorted(range(len(spoken)), key=lambda i: len(spoken[i].codes))
        for start in range(0, len(by_length), AT_ONCE):
            some = by_length[start : start + AT_ONCE]
            made = _residual(talker, [spoken[i] for i in some], text_ids, references)
            for i, codes in zip(some, made, strict=True):
                guessed[i] = codes.numpy().astype(np.uint8)
                right += (codes[:, 0] == spoken[i].codes[:, DESCRIBED]).float().mean().item()
        np.save(target, np.concatenate(guessed))
        yield f"{path.stem}: codebook {DESCRIBED} right in {right / len(spoken):.1%} of the frames"


def _residual(
    talker: Talker, spoken: list[data.Utterance], text_ids: TextIds, references: References
) -> list[torch.Tensor]:
    """Find the likeliest codes (frames, 2) of each utterance."""
    draw = random.Random(0)
    rows = data.batch(spoken, text_ids, references, streamed=False, draw=draw, respell=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden, _ = talker.talker(
            talker.rows(rows, rows.codes, rows.is_frame, talker.vectors(rows))
        )
        asked = rows.is_frame.roll(-1, 1)  # the row before a frame is the one that predicts it
        codes = rows.codes.roll(-1, 1)[asked]
        for book in range(DESCRIBED, BOOKS):
            codes[:, book] = talker.likeliest(hidden[asked], codes, book)
    return list(codes[:, DESCRIBED:].split([len(u.codes) for u in spoken]))
