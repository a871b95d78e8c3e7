"""Train the talker and the code predictor on codes; resumable.

In: `codes/`, `codebooks.npz`, `text.txt`, the tokenizer. Out: `talker.pt` and `talker.csv`, the
losses. New code shards are taken up between epochs, so it may start before the speech is all made.
"""

from __future__ import annotations

import csv
import dataclasses
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from qwen3_tts_voice import talker_data as data
from qwen3_tts_voice.codes import Quantiser
from qwen3_tts_voice.talker_model import END, FOLLOWING, Talker

HELD = 192
WATCHED_LAYER, WATCHED_HEADS = 1, 2
LOSSES = ("code0", "said", "rest", "next", "look", "right")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How it is trained.

    Attributes:
        steps: In all; the learning rates fall to 4 % of theirs over the last `fall` of them.
        fall: See `steps`.
        size: Utterances a step.
        matrix_rate: Learning rate of Muon, for the matrices of the transformers.
        rate: Learning rate of AdamW, for the rest.
        streamed: Share of steps in the streamed text layout.
        predicted: Share of frames the code predictor learns from in each step.
        dropout: Of the talker.
        dropped: Share of input frames left out.
        corrupted: Share of input frames whose deep codebooks are random.
        seed: Of everything.
    """

    steps: int = 6000
    fall: int = 2400
    size: int = 24
    matrix_rate: float = 0.01
    rate: float = 2e-3
    streamed: float = 0.5
    predicted: float = 0.4
    dropout: float = 0.05
    dropped: float = 0.1
    corrupted: float = 0.25
    seed: int = 0


class Losses(torch.nn.Module):
    """All losses of one batch. What is said weighs more than how it sounds."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.weight = torch.tensor([2, 2, 2, 4, 1.5, *[1.0] * 4, *[0.6] * 4, 0.3, 0.3])

    def forward(self, talker: Talker, rows: data.Batch) -> dict[str, torch.Tensor]:
        """The losses, by name: `said` is of codebooks 1 to 5, `right` how often 0 was guessed."""
        recipe, training = self.recipe, talker.training
        codes, keep = rows.codes, rows.is_frame
        if training:
            codes = data.corrupted(codes, recipe.corrupted)
            keep = keep & (torch.rand(keep.shape) >= recipe.dropped)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            x = talker.rows(rows, codes, keep)
            hidden, attention = talker.talker(x, recipe.dropout, WATCHED_LAYER)
            asked = rows.label != data.IGNORE
            logits = talker.codec_head(hidden[asked]).float()
        label = rows.label[asked]
        code0 = F.cross_entropy(logits, label)
        speaks = label != END
        spoken, following = hidden[asked][speaks], rows.codes.roll(-1, 1)[asked][speaks]
        few = torch.arange(len(spoken))
        if training:
            few = torch.randperm(len(spoken))[: int(len(spoken) * recipe.predicted)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            guessed = talker.next_phone(spoken).float()
            rest = talker.predict(spoken[few], following[few])
        known = rows.look.sum(-1) > 0
        mass = (attention[:, :WATCHED_HEADS].float() * rows.look[:, None]).sum(-1)
        look = -torch.log(mass + 0.02).mean(1)[known].mean()
        return {
            "code0": code0,
            "said": rest[:5].mean(),
            "rest": (rest.mean(1) * self.weight).sum() / self.weight.sum(),
            "next": F.cross_entropy(guessed, following[:, FOLLOWING]),
            "look": look,
            "right": (logits.argmax(-1) == label).float().mean(),
        }


class Training:
    """The talker, its optimisers and where they are."""

    def __init__(self, work: Path, tokenizer: Path, recipe: Recipe) -> None:
        self.work, self.recipe = work, recipe
        quantiser = Quantiser.load(work / "codebooks.npz")
        self.talker = Talker(quantiser, recipe.seed)
        self.average = {k: v.detach().clone() for k, v in self.talker.state_dict().items()}
        self.losses = Losses(recipe)
        self.text_ids = data.TextIds(tokenizer)
        self.shards: dict[str, list[data.Utterance]] = {}
        matrices = [
            p for n, p in self.talker.named_parameters() if p.dim() == 2 and ".layers." in n
        ]
        inside = {id(p) for p in matrices}
        rest = [p for p in self.talker.parameters() if id(p) not in inside]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                matrices,
                lr=recipe.matrix_rate,
                momentum=0.95,
                weight_decay=0.01,
                ns_steps=4,
                adjust_lr_fn="original",
            ),
            torch.optim.AdamW(rest, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self.rates = [recipe.matrix_rate, recipe.rate]
        for part in (self.talker.talker, self.talker.predictor):
            part.compile(dynamic=True)
        self.step, self.seconds = 0, 0.0
        if self.path.exists():
            self._resume()

    @property
    def path(self) -> Path:
        """The file it is stored in."""
        return self.work / "talker.pt"

    def _resume(self) -> None:
        stored = torch.load(self.path)
        self.talker.load_state_dict(stored["talker"])
        self.average = stored["average"]
        self.step, self.seconds = stored["step"], stored["seconds"]
        for optimiser, state in zip(self.optimisers, stored["optimisers"], strict=True):
            optimiser.load_state_dict(state)

    def save(self) -> None:
        """Store it; the file is replaced whole."""
        aside = self.path.with_suffix(".part")
        stored: dict[str, Any] = {
            "talker": self.talker.state_dict(),
            "average": self.average,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(stored, aside)
        aside.rename(self.path)

    def run(self, report: Callable[[str], None], every: int = 50, held_every: int = 500) -> None:
        """Train to the recipe's last step."""
        torch.manual_seed(self.recipe.seed + self.step)
        draw = random.Random(self.recipe.seed + self.step)
        batches: Iterator[list[data.Utterance]] = iter(())
        sums, began, frames = dict.fromkeys(LOSSES, 0.0), time.process_time(), 0
        while self.step < self.recipe.steps:
            spoken = next(batches, None)
            if spoken is None:
                batches = iter(data.order(self._load(), self.recipe.size, draw))
                continue
            streamed = draw.random() < self.recipe.streamed
            rows = data.batch(spoken, self.text_ids, streamed=streamed, draw=draw)
            losses = self._one(rows)
            frames += sum(len(u.codes) for u in spoken)
            sums = {name: sums[name] + float(losses[name].detach()) for name in LOSSES}
            if self.step % every == 0:
                used = time.process_time() - began
                self.seconds += used
                means = {name: total / every for name, total in sums.items()}
                report(f"{self._line(means)}, {frames / used:.0f} frames a second")
                self._log("train", means)
                sums, began, frames = dict.fromkeys(LOSSES, 0.0), time.process_time(), 0
            if self.step % held_every == 0 or self.step == self.recipe.steps:
                for layout in ("streamed", "upfront"):
                    means = self.held(streamed=layout == "streamed")
                    report(f"{layout} held out: {self._line(means)}")
                    self._log(layout, means)
                self.save()

    def _load(self) -> list[data.Utterance]:
        """All utterances but those held out: the last of the first shard."""
        data.load(self.work, self.text_ids, self.shards)
        first, *others = (self.shards[name] for name in sorted(self.shards))
        return [*first[:-HELD], *(u for shard in others for u in shard)]

    def _one(self, rows: data.Batch) -> dict[str, torch.Tensor]:
        self.talker.train()
        scale = min(1.0, (self.step + 1) / 100, 0.04 + 0.96 * self._left())
        for optimiser, rate in zip(self.optimisers, self.rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * scale
        losses = self.losses(self.talker, rows)
        total = losses["code0"] + 2.5 * losses["rest"] + losses["next"] + 0.2 * losses["look"]
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.talker.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        if self.step % 5 == 0:
            keep = min(0.998, (self.step + 1) / (self.step + 20)) ** 5
            with torch.no_grad():
                for name, value in self.talker.state_dict().items():
                    self.average[name].lerp_(value, 1 - keep)
        return losses

    def _left(self) -> float:
        return max(0.0, (self.recipe.steps - self.step) / self.recipe.fall)

    @torch.no_grad()
    def held(self, *, streamed: bool) -> dict[str, float]:
        """Losses of the averaged weights on the utterances held out."""
        live = {k: v.clone() for k, v in self.talker.state_dict().items()}
        self.talker.load_state_dict(self.average)
        self.talker.eval()
        spoken = self.shards[min(self.shards)][-HELD:]
        draw = random.Random(0)
        rows = [
            data.batch(spoken[i : i + 32], self.text_ids, streamed=streamed, draw=draw)
            for i in range(0, len(spoken), 32)
        ]
        made = [self.losses(self.talker, batch) for batch in rows]
        self.talker.load_state_dict(live)
        return {name: sum(float(m[name]) for m in made) / len(made) for name in LOSSES}

    def _line(self, means: dict[str, float]) -> str:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        return f"step {self.step}, {self.seconds / 60:.1f} min: {shown}"

    def _log(self, kind: str, means: dict[str, float]) -> None:
        path = self.work / "talker.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", "seconds", "kind", *LOSSES])
            writer.writerow([self.step, self.seconds, kind, *means.values()])
