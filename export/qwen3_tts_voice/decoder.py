"""Train the codec decoder: codes to samples, by spectral distance alone; resumable.

In: `speech/`, `codes/`, `codebooks.npz`, and `decoder_start.pt` if there is one. Out: `decoder.pt`
and `decoder.csv`.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from qwen3_tts_voice.codes import DESCRIBED, Quantiser, load_shard
from qwen3_tts_voice.decoder_model import build, decode
from qwen3_tts_voice.features import log_mel
from qwen3_tts_voice.speech import FRAME

WINDOWS = ((256, 64), (512, 128), (1024, 256), (2048, 480))
QUIET = 1e-2
"""What is below does not count: gradients of inaudible bins would drown the others."""
WARM_UP = 2
"""Frames of a crop that are not judged: they lack what came before."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How it is trained.

    Attributes:
        steps: In all; the learning rate falls to 5 % of `rate` over the last `fall` of them.
        fall: See `steps`.
        crops: A step.
        frames: A crop.
        starts: Share of crops that begin where an utterance begins.
        guessed: Share of crops whose residual codebooks are as the talker guesses them, if that
            is known: see `guess`.
        shards: How many shards are read.
        rate: Learning rate of AdamW.
        seed: Of everything.
    """

    steps: int = 12_000
    fall: int = 9000
    crops: int = 3
    frames: int = 16
    starts: float = 0.25
    guessed: float = 0.7
    shards: int = 12
    rate: float = 5e-4
    seed: int = 0


@functools.cache
def _hann(size: int) -> torch.Tensor:
    return torch.hann_window(size)


def spectral_distance(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Log-magnitude distance plus spectral convergence, over four resolutions."""
    total = torch.zeros(())
    for size, hop in WINDOWS:
        a, b = (
            torch.stft(x, size, hop, window=_hann(size), center=True, return_complex=True)
            for x in (made, true)
        )
        a, b = (torch.sqrt(x.real**2 + x.imag**2 + 1e-7) for x in (a, b))
        total = total + F.l1_loss(torch.log(a + QUIET), torch.log(b + QUIET))
        total = total + torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b)
    return total / len(WINDOWS)


class Crops:
    """Random pieces of codes and samples."""

    def __init__(self, work: Path, recipe: Recipe) -> None:
        self.recipe = recipe
        self._random = np.random.default_rng(recipe.seed)
        self._shards = []
        for path in sorted((work / "codes").glob("????.npz"))[: recipe.shards]:
            codes, speech = load_shard(path), load_shard(work / "speech" / path.name)
            known = work / "guessed" / f"{path.stem}.npy"
            guessed = np.load(known) if known.exists() else codes["codes"][:, DESCRIBED:]
            self._shards.append((codes["codes"], guessed, codes["offset"], speech["samples"]))

    def draw(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Codes (crops, 16, frames), samples (crops, time), and which crops start an utterance."""
        frames = self.recipe.frames
        codes, samples, starts = [], [], []
        for _ in range(self.recipe.crops):
            shard = self._shards[self._random.integers(len(self._shards))]
            all_codes, guessed, offsets, all_samples = shard
            first = self._random.random() < self.recipe.starts
            if first:
                at = int(self._random.choice(offsets[offsets <= len(all_codes) - frames]))
            else:
                at = int(self._random.integers(len(all_codes) - frames))
            books = all_codes[at : at + frames].astype(np.int64).T
            if self._random.random() < self.recipe.guessed:
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


class Training:
    """The decoder, its optimiser and where they are."""

    def __init__(self, work: Path, recipe: Recipe) -> None:
        self.work, self.recipe = work, recipe
        self.decoder = build(Quantiser.load(work / "codebooks.npz"), recipe.seed)
        start = work / "decoder_start.pt"
        self.step, self.seconds = 0, 0.0
        if not self.path.exists() and start.exists():
            self.decoder.load_state_dict(torch.load(start))
        self.average = {k: v.detach().clone() for k, v in self.decoder.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.decoder.parameters(), lr=recipe.rate, betas=(0.8, 0.99), weight_decay=0.0
        )
        if self.path.exists():
            stored = torch.load(self.path)
            self.decoder.load_state_dict(stored["decoder"])
            self.optimiser.load_state_dict(stored["optimiser"])
            self.average = stored["average"]
            self.step, self.seconds = stored["step"], stored["seconds"]

    @property
    def path(self) -> Path:
        """The file it is stored in."""
        return self.work / "decoder.pt"

    def save(self) -> None:
        """Store it; the file is replaced whole."""
        aside = self.path.with_suffix(".part")
        stored: dict[str, Any] = {
            "decoder": self.decoder.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(stored, aside)
        aside.rename(self.path)

    def run(self, report: Callable[[str], None], every: int = 25, save_every: int = 100) -> None:
        """Train to the recipe's last step."""
        recipe = dataclasses.replace(self.recipe, seed=self.recipe.seed + self.step)
        crops = Crops(self.work, recipe)
        sums, began = np.zeros(2), time.process_time()
        while self.step < recipe.steps:
            sums += self._one(*crops.draw())
            if self.step % every == 0:
                used = time.process_time() - began
                self.seconds += used
                spectrum, mel = sums / every
                heard = every * recipe.crops * recipe.frames * 0.08 / used
                report(
                    f"step {self.step}, {self.seconds / 60:.1f} min: spectrum {spectrum:.3f}, "
                    f"mel {mel:.3f}, {heard:.1f} s of audio a second"
                )
                self._log(spectrum, mel)
                sums, began = np.zeros(2), time.process_time()
            if self.step % save_every == 0 or self.step == recipe.steps:
                self.save()

    def _one(
        self, codes: torch.Tensor, samples: torch.Tensor, starts: torch.Tensor
    ) -> tuple[float, float]:
        left = max(0.0, (self.recipe.steps - self.step) / self.recipe.fall)
        scale = min(1.0, (self.step + 1) / 100, 0.05 + 0.95 * left)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate * scale
        made = decode(self.decoder, codes)
        skip = WARM_UP * FRAME
        judged = starts[:, None] | (torch.arange(made.shape[1]) >= skip)
        made = torch.where(judged, made, samples)
        spectrum = spectral_distance(made, samples)
        one, other = (log_mel(x).clamp(min=math.log(QUIET)) for x in (made, samples))
        mel = F.l1_loss(one, other)
        self.optimiser.zero_grad()
        (spectrum + mel).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        keep = min(0.999, (self.step + 1) / (self.step + 20))
        with torch.no_grad():
            for name, value in self.decoder.state_dict().items():
                if value.dtype.is_floating_point:
                    self.average[name].lerp_(value, 1 - keep)
        return spectrum.item(), mel.item()

    def _log(self, spectrum: float, mel: float) -> None:
        path = self.work / "decoder.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", "seconds", "spectrum", "mel"])
            writer.writerow([self.step, self.seconds, spectrum, mel])
