"""A training loop that descends, averages, logs, stores itself and goes on where it stopped.

It begins with `<name>_start.pt` if there is one: see `begin` and `adopt`.
"""

from __future__ import annotations

import csv
import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

from qwen3_tts_edge.atomic import whole_or_nothing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of a training.

    Attributes:
        steps: In all; the learning rates fall to `lowest` of theirs over the last `fall` of them.
        fall: See `steps`.
        lowest: See `steps`.
        rate: Learning rate of AdamW.
        clip: Norm of the gradient above which it is scaled down.
        kept: How much of the average of the weights a step keeps, once there were many.
        average_every: Steps between two updates of that average.
        report_every: Steps between two lines of the log.
        save_every: Steps between two times it is stored.
        seed: Of everything.
    """

    steps: int
    fall: int
    lowest: float
    rate: float
    clip: float
    kept: float
    average_every: int = 1
    report_every: int = 50
    save_every: int
    seed: int = 0


def start_of(work: Path, name: str) -> Path:
    """Return the file that the training of this name starts with, if it exists."""
    return work / f"{name}_start.pt"


def averaged(work: Path, name: str) -> dict[str, torch.Tensor]:
    """Read the averaged weights of a training, or what it would start with if it never ran.

    Those of the decoder are the polished ones, where it was polished.
    """
    path, polished = work / f"{name}.pt", work / "polish.pt"
    if name == "decoder" and polished.exists():
        state = torch.load(polished)["average"].items()
        return {k.removeprefix("decoder."): v for k, v in state if k.startswith("decoder.")}
    found: dict[str, torch.Tensor]
    found = torch.load(path)["average"] if path.exists() else torch.load(start_of(work, name))
    return found


class Judged(NamedTuple):
    """The result of a batch.

    Attributes:
        loss: What is descended.
        shown: What is reported and logged, by column.
        frames: How many frames of speech it held.
    """

    loss: torch.Tensor
    shown: dict[str, float]
    frames: int


class Training:
    """A model in training and its optimisers, stored in `<name>.pt` and logged in `<name>.csv`.

    A subclass says what its batches are and judges one.

    Args:
        work: The folder of all files.
        recipe: How it is trained.
        model: What is trained. If it is stored already, that state is loaded into it; if not, and
            there is something to start with, that.
        optimisers: All of its optimisers, at their full learning rates.
    """

    name: ClassVar[str]

    def __init__(
        self,
        work: Path,
        recipe: Recipe,
        model: nn.Module,
        optimisers: list[torch.optim.Optimizer],
    ) -> None:
        self.work, self.recipe = work, recipe
        self.model, self.optimisers = model, optimisers
        # Taken now, for the stored optimisers come with the rates they had when they were stored.
        self._rates = [group["lr"] for group in self._groups()]
        if not self.path.exists() and start_of(work, self.name).exists():
            model.load_state_dict(torch.load(start_of(work, self.name)), strict=False)
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self.step, self.seconds = 0, 0.0
        if self.path.exists():
            self._resume()

    @property
    def path(self) -> Path:
        """The file that the training is stored in."""
        return self.work / f"{self.name}.pt"

    def batches(self) -> Iterator[Any]:
        """Give batches from `step` on, without end."""
        raise NotImplementedError

    def judge(self, batch: Any) -> Judged:
        """Run the model on a batch."""
        raise NotImplementedError

    def review(self, report: Callable[[str], None]) -> None:
        """Look at more than the batches' losses; called before the training is stored."""

    def run(self, report: Callable[[str], None]) -> None:
        """Train to the recipe's last step."""
        recipe, batches = self.recipe, self.batches()
        sums: defaultdict[str, float] = defaultdict(float)
        frames, began = 0, time.process_time()
        while self.step < recipe.steps:
            judged = self._learn(next(batches))
            frames += judged.frames
            for column, value in judged.shown.items():
                sums[column] += value
            if self.step % recipe.report_every == 0:
                used = time.process_time() - began
                self.seconds += used
                means = {column: total / recipe.report_every for column, total in sums.items()}
                report(f"{self.line(means)}, {frames / used:.0f} frames a second")
                self.log(means)
                sums.clear()
                frames, began = 0, time.process_time()
            if self.step % recipe.save_every == 0 or self.step == recipe.steps:
                self.review(report)
                self.save()

    def line(self, means: Mapping[str, float]) -> str:
        """Say how far the training is and what it has come to."""
        shown = ", ".join(f"{column} {value:.3f}" for column, value in means.items())
        return f"step {self.step}, {self.seconds / 60:.1f} min: {shown}"

    def log(self, row: Mapping[str, str | float]) -> None:
        """Append a row to the log; its columns are those of the first."""
        path = self.path.with_suffix(".csv")
        fresh = not path.exists()
        row = {"step": self.step, "seconds": self.seconds, **row}
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if fresh:
                writer.writeheader()
            writer.writerow(row)

    def save(self) -> None:
        """Store the training; the file is replaced whole."""
        stored = {
            self.name: self.model.state_dict(),
            "average": self.average,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step,
            "seconds": self.seconds,
        }
        with whole_or_nothing(self.path) as part:
            torch.save(stored, part)

    def _resume(self) -> None:
        stored = torch.load(self.path)
        self.model.load_state_dict(stored[self.name])
        self.average = stored["average"]
        self.step, self.seconds = stored["step"], stored["seconds"]
        for optimiser, state in zip(self.optimisers, stored["optimisers"], strict=True):
            optimiser.load_state_dict(state)

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimiser in self.optimisers for group in optimiser.param_groups]

    def _learn(self, batch: Any) -> Judged:
        recipe = self.recipe
        left = max(0.0, (recipe.steps - self.step) / recipe.fall)
        scale = min(1.0, (self.step + 1) / 100, recipe.lowest + (1 - recipe.lowest) * left)
        for group, rate in zip(self._groups(), self._rates, strict=True):
            group["lr"] = rate * scale
        judged = self.judge(batch)
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        judged.loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        if self.step % recipe.average_every == 0:
            self._follow()
        return judged

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights, faster while it is young."""
        recipe = self.recipe
        kept = min(recipe.kept, (self.step + 1) / (self.step + 20)) ** recipe.average_every
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                self.average[name].lerp_(value, 1 - kept)
