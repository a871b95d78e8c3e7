"""Draw random pieces of speech, as codes and as samples, to train the codec's two halves on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from qwen3_tts_voice import training
from qwen3_tts_voice.codes import DESCRIBED, evenly, load_shard
from qwen3_tts_voice.speech import FRAME


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """How a half of the codec is trained.

    Attributes:
        crops: A step.
        frames: A crop.
        starts: Share of crops that begin where an utterance begins.
        guessed: Share of crops whose residual codebooks are as the talker guesses them, if that
            is known: see `guess`.
        shards: How many shards are read, see `codes.evenly`.
    """

    crops: int
    frames: int
    starts: float = 0.25
    guessed: float = 0.0
    shards: int


Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Codes (crops, 16, frames), samples (crops, time), and which crops start an utterance."""


class Crops:
    """The shards that crops are drawn from."""

    def __init__(self, work: Path, recipe: Recipe) -> None:
        self.recipe = recipe
        self._shards = []
        for path in evenly(work / "codes", recipe.shards):
            codes, speech = load_shard(path), load_shard(work / "speech" / path.name)
            known = work / "guessed" / f"{path.stem}.npy"
            guessed = np.load(known) if known.exists() else codes["codes"][:, DESCRIBED:]
            self._shards.append((codes["codes"], guessed, codes["offset"], speech["samples"]))

    def draw(self, step: int) -> Batch:
        """Draw the crops of a step; they do not depend on what was drawn before."""
        random, frames = np.random.default_rng([self.recipe.seed, step]), self.recipe.frames
        codes, samples, starts = [], [], []
        for _ in range(self.recipe.crops):
            shard = self._shards[random.integers(len(self._shards))]
            all_codes, guessed, offsets, all_samples = shard
            first = random.random() < self.recipe.starts
            if first:
                at = int(random.choice(offsets[offsets <= len(all_codes) - frames]))
            else:
                at = int(random.integers(len(all_codes) - frames))
            books = all_codes[at : at + frames].astype(np.int64).T
            if random.random() < self.recipe.guessed:
                books[DESCRIBED:] = guessed[at : at + frames].T
            codes.append(books)
            piece = all_samples[at * FRAME : (at + frames) * FRAME]
            samples.append(piece.astype(np.float32) / 32768)
            starts.append(first)
        return (
            torch.from_numpy(np.stack(codes)),
            torch.from_numpy(np.stack(samples)),
            torch.tensor(starts),
        )
