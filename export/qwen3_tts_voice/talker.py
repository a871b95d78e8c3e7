"""Train the talker and the code predictor on codes; resumable.

In: `codes/`, `codebooks.npz`, `references.npz`, `text.txt`, the tokenizer. Out: `talker.pt` and
`talker.csv`, the losses. New code shards are taken up between epochs, so it may start before the
speech is all made.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F

from qwen3_tts_voice import talker_data as data
from qwen3_tts_voice import training
from qwen3_tts_voice.codes import CODEBOOKS, Quantiser
from qwen3_tts_voice.muon import Muon, parted
from qwen3_tts_voice.references import References
from qwen3_tts_voice.speakers import HEIGHTS, TRACTS
from qwen3_tts_voice.talker_model import END, FOLLOWING, IGNORE, Batch, Talker
from qwen3_tts_voice.text_ids import TextIds

HELD = 192
WATCHED_LAYER, WATCHED_HEADS = 1, 2
LOSSES = ("code0", "said", "rest", "next", "look", "traits", "right")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """How the talker is trained.

    Attributes:
        matrix_rate: Learning rate of Muon, for the matrices of the transformers.
        speaker_share: Of `rate`, for the speaker encoder, whose ReLUs would die of more.
        frames: At most, of speech in a step, padded.
        company: Share of the utterances that are joined to runs of two to four.
        streamed: Share of steps in the streamed text layout.
        predicted: Share of frames the code predictor learns from in each step.
        dropout: Of the talker.
        dropped: Share of input frames left out.
        corrupted: Share of input frames whose deep codebooks are random.
        disguised: Share of utterances whose input frames have tracts that are drawn.
    """

    steps: int = 60_000
    fall: int = 40_000
    lowest: float = 0.04
    rate: float = 2e-3
    matrix_rate: float = 0.01
    speaker_share: float = 0.2
    clip: float = 1.0
    kept: float = 0.998
    average_every: int = 5
    save_every: int = 500
    frames: int = 900
    company: float = 0.4
    streamed: float = 0.5
    predicted: float = 0.4
    dropout: float = 0.0
    dropped: float = 0.1
    corrupted: float = 0.25
    disguised: float = 0.2


class Losses(torch.nn.Module):
    """All losses of one batch. What is said weighs more than how it sounds."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.weight = torch.tensor([2, 2, 2, 4, 1.5, *[1.0] * 4, *[0.6] * 4, 0.3, 0.3])

    def forward(self, talker: Talker, rows: Batch) -> dict[str, torch.Tensor]:
        """Compute the losses by name.

        `said` is that of codebooks 1 to 5, `right` the share of frames whose code 0 was guessed.
        """
        recipe, training = self.recipe, talker.training
        codes, keep = rows.codes, rows.is_frame
        if training:
            codes = data.corrupted(codes, recipe.corrupted)
            codes = data.disguised(codes, recipe.disguised)
            keep = keep & (torch.rand(keep.shape) >= recipe.dropped)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            vectors = talker.vectors(rows).float()
            x = talker.rows(rows, codes, keep, vectors)
            hidden, attention = talker.talker(x, recipe.dropout, WATCHED_LAYER)
            asked = rows.label != IGNORE
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
            "traits": _traits(talker.traits(vectors), rows.traits),
            "right": (logits.argmax(-1) == label).float().mean(),
        }


def _traits(found: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    tract, height = found.split((TRACTS, HEIGHTS), 1)
    return F.cross_entropy(tract, true[:, 0]) + F.cross_entropy(height, true[:, 1])


class Training(training.Training):
    """The talker, which is also judged on utterances that are held out."""

    name = "talker"
    recipe: Recipe

    def __init__(self, work: Path, tokenizer: Path, recipe: Recipe) -> None:
        self.talker = Talker(Quantiser.load(work / CODEBOOKS), recipe.seed)
        self.losses = Losses(recipe)
        self.text_ids, self.references = TextIds(tokenizer), References(work)
        self.shards: dict[str, list[data.Utterance]] = {}
        for part in (self.talker.talker, self.talker.predictor):
            part.compile(dynamic=True)
        super().__init__(work, recipe, self.talker, _optimisers(self.talker, recipe))

    def batches(self) -> Iterator[Batch]:
        """Draw batches of all utterances but those held out, the last of the first shard.

        In what order follows from the step it starts at.
        """
        recipe = self.recipe
        torch.manual_seed(recipe.seed + self.step)
        draw = random.Random(recipe.seed + self.step)
        while True:
            data.load(self.work, self.shards)
            first, *others = (self.shards[name] for name in sorted(self.shards))
            spoken = [*first[:-HELD], *(u for shard in others for u in shard)]
            spoken = data.runs(spoken, recipe.company, draw)
            for some in data.order(spoken, recipe.frames, draw):
                streamed = draw.random() < recipe.streamed
                yield data.batch(some, self.text_ids, self.references, streamed=streamed, draw=draw)

    def judge(self, batch: Batch) -> training.Judged:
        """Weigh and add all losses."""
        losses = self.losses(self.talker, batch)
        total = losses["code0"] + 2.5 * losses["rest"] + losses["next"]
        total = total + 0.2 * losses["look"] + 0.2 * losses["traits"]
        shown = {name: float(losses[name].detach()) for name in LOSSES}
        return training.Judged(total, shown, int(batch.is_frame.sum()))

    def review(self, report: Callable[[str], None]) -> None:
        """Judge the utterances held out, in both layouts."""
        for layout in ("streamed", "upfront"):
            means = self.held(streamed=layout == "streamed")
            report(f"{layout} held out: {self.line(means)}")
            self.log(means, kind=layout)

    def log(self, row: Mapping[str, str | float], kind: str = "train") -> None:
        """Append a row to the log: of training, or of the utterances held out in a layout."""
        super().log({"kind": kind, **row})

    @torch.no_grad()
    def held(self, *, streamed: bool) -> dict[str, float]:
        """Compute the averaged weights' losses on the utterances held out."""
        live = {k: v.clone() for k, v in self.talker.state_dict().items()}
        self.talker.load_state_dict(self.average)
        self.talker.eval()
        spoken = self.shards[min(self.shards)][-HELD:]
        draw = random.Random(0)
        rows = [
            data.batch(
                spoken[i : i + 32],
                self.text_ids,
                self.references,
                streamed=streamed,
                draw=draw,
                respell=False,
            )
            for i in range(0, len(spoken), 32)
        ]
        made = [self.losses(self.talker, batch) for batch in rows]
        self.talker.load_state_dict(live)
        self.talker.train()
        return {name: sum(float(m[name]) for m in made) / len(made) for name in LOSSES}


def _optimisers(talker: Talker, recipe: Recipe) -> list[torch.optim.Optimizer]:
    matrices, others = parted(talker, "talker.layers.", "predictor.layers.")
    speaker = list(talker.speaker_encoder.parameters())
    heard = {id(p) for p in speaker}
    rest = [p for p in others if id(p) not in heard]
    groups = [
        {"params": rest, "lr": recipe.rate},
        {"params": speaker, "lr": recipe.rate * recipe.speaker_share},
    ]
    return [
        Muon(matrices, lr=recipe.matrix_rate),
        torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0),
    ]
