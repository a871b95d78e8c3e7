"""Speech to codes without a network: what is said, when, how high and how loud.

Codebooks 0 to 5 name the teacher's phonemes of the frame and their timing, 6 to 9 its pitch, 10 to
13 its loudness, a quarter of the frame each. 14 and 15 are residual k-means on the part of log-mel
and pitch that the others leave unexplained. Given the text, hardly anything of it is left to chance
but time and tune, and a wrong guess at those is still a word.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from qwen3_tts_edge.atomic import whole_or_nothing
from qwen3_tts_voice.features import BINS, HOP, PER_FRAME, blocks
from qwen3_tts_voice.speakers import speaker

CODES, BOOKS, ACOUSTIC = 256, 16, 64
DESCRIBED = BOOKS - 2
"""Codebooks that say something by themselves; the others are what these leave."""
CODEBOOKS = "codebooks.npz"
MOST_PHONES = 50
FINE = 5
"""Tracts that codebook 1 does not tell apart, and 2 does."""
STARTED = (2, 4, 6, PER_FRAME - 1)
"""Codebook 0 tells apart how long the last phoneme has been sounding: up to so many 10 ms steps."""
QUARTER, QUARTERS = PER_FRAME // 4, 4
LONGEST = 15
LOWEST, HIGHEST = 60.0, 340.0
QUIETEST, LOUDNESS_STEP, LOUDNESSES = -8.2, 0.18, 64


def evenly(folder: Path, most: int) -> list[Path]:
    """Choose so many shards of a folder, or all, evenly: every kind of speaker is in them."""
    paths = sorted(folder.glob("????.npz"))
    count = min(most, len(paths))
    return [paths[i * len(paths) // count] for i in range(count)]


def load_shard(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read a speech shard, all arrays in memory."""
    with np.load(path) as shard:
        return {name: shard[name] for name in shard.files}


def utterances(shard: dict[str, npt.NDArray[Any]]) -> Iterator[dict[str, Any]]:
    """Give a shard's utterances: the speaker's tract, samples in [-1, 1], and the 10 ms tracks."""
    bounds = zip(shard["offset"][:-1], shard["offset"][1:], shard["speaker"], strict=True)
    for start, end, number in bounds:
        tracks = slice(start // HOP, end // HOP)
        yield {
            "tract": speaker(int(number)).tract,
            "samples": torch.from_numpy(shard["samples"][start:end].astype(np.float32) / 32768),
            "pitch": torch.from_numpy(shard["pitch"][tracks].astype(np.float32)),
            "phone": torch.from_numpy(shard["phone"][tracks].astype(np.int64)),
            "word": torch.from_numpy(shard["word"][tracks].astype(np.int64)),
        }


def phonetic(phone: torch.Tensor, tract: int) -> torch.Tensor:
    """Turn phonemes at 10 ms (time,) in 0..49 into codebooks 0 to 5 (frames, 6).

    0: the phoneme a frame ends in and since when; 1: the one it begins in, and the speaker's
    tract by fives; 2: the longest between them, one more than its number, 0 where there is none,
    and which of the five; 3: how many steps the first and the last fill; 4: the phoneme after the
    last; 5: for how long the first has been sounding and the last will be.
    """
    change = torch.cat([torch.ones(1, dtype=torch.bool), phone[1:] != phone[:-1]])
    run = torch.cumsum(change, 0) - 1
    length = torch.bincount(run)
    start = torch.cumsum(length, 0) - length
    name = phone[start]
    frames = len(phone) // PER_FRAME
    at = torch.arange(frames) * PER_FRAME
    first, last = run[at], run[at + PER_FRAME - 1]
    whole = first == last
    begun = torch.where(whole, PER_FRAME, start[first] + length[first] - at)
    ended = torch.where(whole, PER_FRAME, at + PER_FRAME - start[last])
    between = torch.zeros(frames, dtype=torch.long)
    for frame in (last - first > 1).nonzero()[:, 0].tolist():
        inner = slice(int(first[frame]) + 1, int(last[frame]))
        between[frame] = 1 + name[inner][length[inner].argmax()]
    following = name[(last + 1).clamp(max=len(name) - 1)]
    since = (at - start[first]).clamp(max=LONGEST)
    until = (start[last] + length[last] - at - PER_FRAME).clamp(max=LONGEST)
    stage = torch.bucketize(ended, torch.tensor(STARTED))
    return torch.stack(
        [
            name[last] * (len(STARTED) + 1) + stage,
            name[first] + MOST_PHONES * (tract // FINE),
            between + (MOST_PHONES + 1) * (tract % FINE),
            (begun - 1) * PER_FRAME + ended - 1,
            following,
            since * (LONGEST + 1) + until,
        ],
        1,
    )


def with_tract(codes: torch.Tensor, tract: torch.Tensor) -> torch.Tensor:
    """Give codes (…, 16) the tract (…) of another speaker."""
    codes = codes.clone()
    codes[..., 1] = codes[..., 1] % MOST_PHONES + MOST_PHONES * (tract // FINE)
    codes[..., 2] = codes[..., 2] % (MOST_PHONES + 1) + (MOST_PHONES + 1) * (tract % FINE)
    return codes


def melodic(block: torch.Tensor) -> torch.Tensor:
    """Turn blocks (frames, 656) into codebooks 6 to 13: pitch, then loudness, by quarters."""
    voiced, height = block[:, BINS * PER_FRAME :].reshape(-1, QUARTERS, QUARTER, 2).unbind(-1)
    count = voiced.sum(-1)
    pitch = 200 * torch.exp((height * voiced).sum(-1) / count.clamp(min=1) / 3)
    span = (CODES - 2) / math.log(HIGHEST / LOWEST)
    note = (1 + torch.log(pitch / LOWEST) * span).round().clamp(1, CODES - 1)
    power = block[:, : BINS * PER_FRAME].reshape(-1, QUARTERS, QUARTER * BINS)
    level = torch.logsumexp(power, -1) - math.log(QUARTER * BINS)
    loud = ((level - QUIETEST) / LOUDNESS_STEP).round().clamp(0, LOUDNESSES - 1)
    return torch.cat([torch.where(count > 0, note, 0), loud], 1).long()


@dataclasses.dataclass
class Quantiser:
    """The codebooks and what leads to them; saved as `codebooks.npz`.

    Attributes:
        phones: (n,) the teacher's ids of the phonemes, at most 50; silence is 0 and comes first.
        mean, weight: (656,) of a block.
        projection: (656, 64), principal directions.
        described: (14, 256, 64) what each code adds to the guess at the acoustic vector.
        residual: (2, 256, 64) centres of what the guess leaves.
    """

    phones: torch.Tensor
    mean: torch.Tensor
    weight: torch.Tensor
    projection: torch.Tensor
    described: torch.Tensor
    residual: torch.Tensor

    def save(self, path: Path) -> None:
        """Write the codebooks."""
        np.savez(path, **{k: v.numpy() for k, v in dataclasses.asdict(self).items()})

    @classmethod
    def load(cls, path: Path) -> Quantiser:
        """Read the codebooks."""
        return cls(**{k: torch.from_numpy(v) for k, v in load_shard(path).items()})

    @property
    def acoustic(self) -> torch.Tensor:
        """Rows (16, 256, 64); the sum over a frame's codes is about its acoustic vector."""
        return torch.cat([self.described, self.residual])

    def project(self, block: torch.Tensor) -> torch.Tensor:
        """Project blocks (frames, 656) to acoustic vectors (frames, 64)."""
        return ((block - self.mean) * self.weight) @ self.projection

    def encode(self, block: torch.Tensor, phone: torch.Tensor, tract: int) -> torch.Tensor:
        """Turn one utterance into codes (frames, 16)."""
        frames = len(block)
        named = torch.searchsorted(self.phones, phone[: frames * PER_FRAME])
        codes = torch.cat([phonetic(named, tract), melodic(block)], 1)
        rest = self.project(block) - summed(self.described, codes)
        for book in self.residual:
            chosen = nearest(rest, book)
            codes = torch.cat([codes, chosen[:, None]], 1)
            rest = rest - book[chosen]
        return codes


def summed(tables: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Add up the rows (books, 256, n) of codes (frames, books) → (frames, n)."""
    flat = codes + torch.arange(len(tables)) * CODES
    return torch.nn.functional.embedding_bag(flat, tables.flatten(0, 1), mode="sum")


def nearest(x: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Find the index of the nearest centre of each row."""
    return ((centres**2).sum(1)[None] - 2 * x @ centres.T).argmin(1)


def kmeans(x: torch.Tensor, rounds: int, random: torch.Generator) -> torch.Tensor:
    """Find 256 centres of the rows of `x`; centres that die are reseeded."""
    centres = x[torch.randperm(len(x), generator=random)[:CODES]].clone()
    for done in range(rounds):
        chosen = nearest(x, centres)
        count = torch.bincount(chosen, minlength=CODES).float()[:, None]
        total = torch.zeros_like(centres).index_add_(0, chosen, x)
        centres = torch.where(count > 0, total / count.clamp(min=1), centres)
        dead = (count[:, 0] < 2).nonzero()[:, 0]
        if len(dead) and done < rounds - 2:
            fresh = x[torch.randperm(len(x), generator=random)[: len(dead)]]
            centres[dead] = fresh + 1e-3 * torch.randn(fresh.shape, generator=random)
    return centres


def fit(spoken: list[dict[str, Any]], seed: int) -> Iterator[str | Quantiser]:
    """Make the codebooks from utterances; yields progress, last the quantiser."""
    random = torch.Generator().manual_seed(seed)
    phones = torch.unique(torch.cat([u["phone"] for u in spoken]))
    if len(phones) > MOST_PHONES:
        raise ValueError(f"the teacher uses {len(phones)} phonemes, there is room for 50")
    block = torch.cat([blocks(u["samples"], u["pitch"]) for u in spoken])
    mean = block.mean(0)
    mel = torch.ones(BINS)
    mel[55:] = 0.7
    weight = torch.cat([mel.repeat(PER_FRAME), torch.tensor([2.0, 4.0]).repeat(PER_FRAME)])
    x = (block - mean) * weight
    _, directions = torch.linalg.eigh(x.T @ x / len(x))
    projection = directions.flip(1)[:, :ACOUSTIC].contiguous()
    x = x @ projection
    named = [phonetic(torch.searchsorted(phones, u["phone"]), u["tract"]) for u in spoken]
    codes = torch.cat([torch.cat(named), melodic(block)], 1)
    described = _regressed(codes, x)
    energy, rest = (x**2).sum(), x - summed(described, codes)
    yield f"14 codebooks of {entropies(codes)} bits leave {_decibel(rest, energy)}"
    residual = []
    for book in range(DESCRIBED, BOOKS):
        residual.append(kmeans(rest, 12, random))
        chosen = nearest(rest, residual[-1])
        rest = rest - residual[-1][chosen]
        yield f"codebook {book}: {entropies(chosen[:, None])} bits, {_decibel(rest, energy)}"
    yield Quantiser(phones, mean, weight, projection, described, torch.stack(residual))


def _regressed(codes: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Solve for rows (14, 256, 64) whose sum over a frame's codes is nearest to x.

    Rows of rare codes are about 0.
    """
    size = DESCRIBED * CODES
    flat = codes + torch.arange(DESCRIBED) * CODES
    square, right = torch.zeros(size, size), torch.zeros(size, x.shape[1])
    for some, near in zip(flat.split(8192), x.split(8192), strict=True):
        hot = torch.zeros(len(some), size).scatter_(1, some, 1.0)
        square += hot.T @ hot
        right += hot.T @ near
    square.diagonal().add_(10.0)
    return torch.linalg.solve(square, right).view(DESCRIBED, CODES, -1)


def _decibel(rest: torch.Tensor, energy: torch.Tensor) -> str:
    return f"{10 * torch.log10((rest**2).sum() / energy):.1f} dB"


def entropies(codes: torch.Tensor) -> str:
    """Compute the bits a code of each codebook, from codes (frames, books)."""
    share = torch.stack([torch.bincount(book, minlength=CODES) for book in codes.T]) / len(codes)
    return " ".join(f"{bits:.1f}" for bits in -(share * share.clamp(min=1e-9).log2()).sum(1))


def encode_shard(shard: dict[str, npt.NDArray[Any]], quantiser: Quantiser, path: Path) -> int:
    """Write the codes of a whole shard, with each frame's word; returns how many frames."""
    codes, words = [], []
    for spoken in utterances(shard):
        block = blocks(spoken["samples"], spoken["pitch"])
        codes.append(quantiser.encode(block, spoken["phone"], spoken["tract"]))
        middle = torch.arange(len(block)) * PER_FRAME + PER_FRAME // 2
        words.append(spoken["word"][middle])
    with whole_or_nothing(path) as part, part.open("wb") as file:
        np.savez(
            file,
            codes=torch.cat(codes).numpy().astype(np.uint8),
            word=torch.cat(words).numpy().astype(np.uint8),
            offset=shard["offset"] // (HOP * PER_FRAME),
            index=shard["index"],
            speaker=shard["speaker"],
            aligned=shard["aligned"],
        )
    return sum(len(c) for c in codes)
