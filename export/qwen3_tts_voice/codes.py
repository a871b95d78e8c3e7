"""Speech to codes without a network: phonemes for codebook 0, residual k-means for 1 to 15.

Codebook 0 quantises which of the teacher's phonemes fill the two halves of a frame, so text maps to
it almost one to one. Codebooks 1 to 15 quantise log-mel and pitch of the frame, projected to 64
dimensions, stage by stage. Both read the same 80 ms: a split residual quantiser, as in Mimi.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from qwen3_tts_voice.features import BINS, HOP, PER_FRAME, blocks
from qwen3_tts_voice.speech import SILENCE

CODES, BOOKS, ACOUSTIC = 512, 16, 64
PHONES = 180
"""More than the teacher's largest phoneme id."""


def load_shard(path: Path) -> dict[str, npt.NDArray[Any]]:
    """A speech shard, all arrays in memory."""
    with np.load(path) as shard:
        return {name: shard[name] for name in shard.files}


def utterances(shard: dict[str, npt.NDArray[Any]]) -> Iterator[dict[str, torch.Tensor]]:
    """Its utterances one by one: samples in [-1, 1], and the 10 ms tracks."""
    for start, end in zip(shard["offset"][:-1], shard["offset"][1:], strict=True):
        tracks = slice(start // HOP, end // HOP)
        yield {
            "samples": torch.from_numpy(shard["samples"][start:end].astype(np.float32) / 32768),
            "pitch": torch.from_numpy(shard["pitch"][tracks].astype(np.float32)),
            "phone": torch.from_numpy(shard["phone"][tracks].astype(np.int64)),
            "word": torch.from_numpy(shard["word"][tracks].astype(np.int64)),
        }


def occupancy(phone: torch.Tensor) -> torch.Tensor:
    """Phonemes at 10 ms (time,) → how each half of a frame is filled (frames, 2 * 2 * PHONES).

    A phoneme's first and second half count as two, so that a frame says how far on it is.
    """
    change = torch.cat([torch.ones(1, dtype=torch.bool), phone[1:] != phone[:-1]])
    run = torch.cumsum(change, 0) - 1
    length = torch.bincount(run)
    start = torch.cat([torch.zeros(1, dtype=torch.long), torch.cumsum(length, 0)[:-1]])
    late = (torch.arange(len(phone)) - start[run]) * 2 + 1 > length[run]
    state = phone + PHONES * (late & (phone != SILENCE))
    frames = len(phone) // PER_FRAME
    filled = torch.nn.functional.one_hot(state[: frames * PER_FRAME], 2 * PHONES).float()
    return filled.reshape(frames, 2, PER_FRAME // 2, -1).mean(2).reshape(frames, -1)


@dataclasses.dataclass
class Quantiser:
    """The codebooks and what leads to them; saved as `codebooks.npz`.

    Attributes:
        mean, weight: (656,) of a block.
        projection: (656, 64), principal directions.
        phonetic: (512, 720) centres of codebook 0, in occupancy.
        meaning: (512, 64) mean acoustic vector of each code of codebook 0.
        acoustic: (15, 512, 64).
    """

    mean: torch.Tensor
    weight: torch.Tensor
    projection: torch.Tensor
    phonetic: torch.Tensor
    meaning: torch.Tensor
    acoustic: torch.Tensor

    def save(self, path: Path) -> None:
        """Write it."""
        np.savez(path, **{k: v.numpy() for k, v in dataclasses.asdict(self).items()})

    @classmethod
    def load(cls, path: Path) -> Quantiser:
        """Read it."""
        return cls(**{k: torch.from_numpy(v) for k, v in load_shard(path).items()})

    def project(self, block: torch.Tensor) -> torch.Tensor:
        """Blocks (frames, 656) → (frames, 64)."""
        return ((block - self.mean) * self.weight) @ self.projection

    def encode(self, block: torch.Tensor, phone: torch.Tensor) -> torch.Tensor:
        """One utterance → codes (frames, 16)."""
        codes = [nearest(occupancy(phone)[: len(block)], self.phonetic)]
        rest = self.project(block)
        for book in self.acoustic:
            codes.append(nearest(rest, book))
            rest = rest - book[codes[-1]]
        return torch.stack(codes, 1)


def nearest(x: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """The index of the nearest centre for each row."""
    return ((centres**2).sum(1)[None] - 2 * x @ centres.T).argmin(1)


def kmeans(x: torch.Tensor, rounds: int, random: torch.Generator) -> torch.Tensor:
    """512 centres of the rows of `x`; centres that die are reseeded."""
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


def fit(block: torch.Tensor, filled: torch.Tensor, seed: int) -> Iterator[str | Quantiser]:
    """Make the codebooks from blocks and occupancies; yields progress, last the quantiser."""
    random = torch.Generator().manual_seed(seed)
    mean = block.mean(0)
    mel = torch.ones(BINS)
    mel[55:] = 0.7
    weight = torch.cat([mel.repeat(PER_FRAME), torch.tensor([2.0, 4.0]).repeat(PER_FRAME)])
    x = (block - mean) * weight
    _, directions = torch.linalg.eigh(x.T @ x / len(x))
    projection = directions.flip(1)[:, :ACOUSTIC].contiguous()
    phonetic = kmeans(filled, 25, random)
    zero = nearest(filled, phonetic)
    yield f"codebook 0: {entropy(zero):.2f} bits"
    rest = x @ projection
    energy = (rest**2).sum()
    count = torch.bincount(zero, minlength=CODES).clamp(min=1)[:, None]
    meaning = torch.zeros(CODES, ACOUSTIC).index_add_(0, zero, rest) / count
    explained = 10 * torch.log10(((rest - meaning[zero]) ** 2).sum() / energy)
    yield f"codebook 0 alone leaves {explained:.1f} dB of the acoustic vector"
    acoustic = []
    for book in range(1, BOOKS):
        acoustic.append(kmeans(rest, 10, random))
        chosen = nearest(rest, acoustic[-1])
        rest = rest - acoustic[-1][chosen]
        left = 10 * torch.log10((rest**2).sum() / energy)
        yield f"codebook {book}: {entropy(chosen):.2f} bits, residual {left:.1f} dB"
    yield Quantiser(mean, weight, projection, phonetic, meaning, torch.stack(acoustic))


def entropy(codes: torch.Tensor) -> float:
    """Bits a code."""
    share = torch.bincount(codes, minlength=CODES) / len(codes)
    return float(-(share * share.clamp(min=1e-9).log2()).sum())


def encode_shard(shard: dict[str, npt.NDArray[Any]], quantiser: Quantiser, path: Path) -> int:
    """Codes of a whole shard, with the word each frame belongs to; returns how many frames."""
    codes, words, phones = [], [], []
    for spoken in utterances(shard):
        block = blocks(spoken["samples"], spoken["pitch"])
        codes.append(quantiser.encode(block, spoken["phone"]))
        middle = torch.arange(len(block)) * PER_FRAME + PER_FRAME // 2
        words.append(spoken["word"][middle])
        phones.append(torch.stack([spoken["phone"][middle - 2], spoken["phone"][middle + 2]], 1))
    aside = path.with_suffix(".part.npz")
    np.savez(
        aside,
        codes=torch.cat(codes).numpy().astype(np.uint16),
        word=torch.cat(words).numpy().astype(np.uint8),
        phone=torch.cat(phones).numpy().astype(np.uint8),
        offset=shard["offset"] // (HOP * PER_FRAME),
        index=shard["index"],
        speaker=shard["speaker"],
        aligned=shard["aligned"],
    )
    aside.rename(path)
    return sum(len(c) for c in codes)
