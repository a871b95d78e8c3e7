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
        heard: Share of crops whose codes are as the encoder hears them, likewise: see `hear`.
        shards: How many shards are read, see `codes.evenly`.
    """

    crops: int
    frames: int
    starts: float = 0.25
    guessed: float = 0.0
    heard: float = 0.0
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
            true = codes["codes"]
            guessed, heard = (work / kind / f"{path.stem}.npy" for kind in ("guessed", "heard"))
            instead = [
                np.concatenate([true[:, :DESCRIBED], np.load(guessed)], 1)
                if guessed.exists()
                else true,
                np.load(heard) if heard.exists() else true,
            ]
            self._shards.append((true, instead, codes["offset"], speech["samples"]))

    def draw(self, step: int) -> Batch:
        """Draw the crops of a step; they do not depend on what was drawn before."""
        random, frames = np.random.default_rng([self.recipe.seed, step]), self.recipe.frames
        codes, samples, starts = [], [], []
        for _ in range(self.recipe.crops):
            shard = self._shards[random.integers(len(self._shards))]
            all_codes, (guessed, heard), offsets, all_samples = shard
            first = random.random() < self.recipe.starts
            if first:
                at = int(random.choice(offsets[offsets <= len(all_codes) - frames]))
            else:
                at = int(random.integers(len(all_codes) - frames))
            share = random.random()
            if share < self.recipe.guessed:
                all_codes = guessed
            elif share < self.recipe.guessed + self.recipe.heard:
                all_codes = heard
            codes.append(all_codes[at : at + frames].astype(np.int64).T)
            piece = all_samples[at * FRAME : (at + frames) * FRAME]
            samples.append(piece.astype(np.float32) / 32768)
            starts.append(first)
        return (
            torch.from_numpy(np.stack(codes)),
            torch.from_numpy(np.stack(samples)),
            torch.tensor(starts),
        )
