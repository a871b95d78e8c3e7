"""Begin the codec decoder with an earlier voice's: same network, other codebooks.

The earlier voice speaks some sentences. What its own quantiser hands to the rest of its decoder is
regressed on the acoustic vector of the same sound. Along that line the earlier decoder can be led
by any sound, and the new one's first half, codebooks to transformer, learns to say to the second
half what the earlier one's would. No waveform is made, so this is quick.
In: a bundle and the checkpoint it is made from. Out: `decoder_start.pt`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qwen3_tts_edge.arrays import Codes, Samples
from qwen3_tts_voice.codes import CODEBOOKS, Quantiser, load_shard, utterances
from qwen3_tts_voice.decoder_model import build, first_half, sized
from qwen3_tts_voice.features import HOP, RATE, blocks


def pitch(samples: Samples) -> Samples:
    """Estimate the pitch in Hz every 10 ms by autocorrelation, roughly; 0 where unvoiced."""
    window, low, high = 960, RATE // 400, RATE // 90
    steps = len(samples) // HOP
    padded = np.pad(samples, (window // 2, window))
    made = np.zeros(steps, np.float32)
    for step in range(steps):
        x = padded[step * HOP : step * HOP + window]
        x = x - x.mean()
        energy = float(x @ x)
        if energy < 1e-2:
            continue
        spectrum = np.abs(np.fft.rfft(x, 2 * window)) ** 2
        lag = np.fft.irfft(spectrum)[:high]
        best = low + int(lag[low:].argmax())
        if lag[best] > 0.35 * energy:
            made[step] = RATE / best
    return made


@torch.no_grad()
def sound_to_earlier(
    quantiser: Quantiser, earlier: Any, spoken: list[tuple[Codes, Samples]]
) -> tuple[torch.Tensor, float]:
    """Fit a linear map from acoustic vectors to the earlier quantiser's outputs.

    Args:
        quantiser: The new codebooks.
        earlier: The earlier decoder.
        spoken: Codes (frames, 16) and samples of the earlier voice.

    Returns:
        (65, width), the last row a constant, and the share of variance it explains.
    """
    into, out = [], []
    for codes, samples in spoken:
        block = blocks(torch.from_numpy(samples), torch.from_numpy(pitch(samples)))
        into.append(quantiser.project(block))
        out.append(earlier.quantizer.decode(torch.from_numpy(codes).T[None])[0].T)
    x, y = _with_one(torch.cat(into)).double(), torch.cat(out).double()
    ridge = 1e-3 * len(x) * torch.eye(x.shape[1], dtype=torch.double)
    line = torch.linalg.solve(x.T @ x + ridge, x.T @ y)
    explained = 1 - ((x @ line - y) ** 2).sum() / ((y - y.mean(0)) ** 2).sum()
    return line.float(), float(explained)


def _with_one(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, torch.ones(*x.shape[:-1], 1)], -1)


class Lesson:
    """Crops of codes and of the acoustic vectors of the same sound."""

    def __init__(self, work: Path, quantiser: Quantiser, shards: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        codes, sounds = [], []
        for path in sorted((work / "codes").glob("????.npz"))[:shards]:
            codes.append(torch.from_numpy(load_shard(path)["codes"].astype(np.int64)))
            speech = utterances(load_shard(work / "speech" / path.name))
            sounds += [quantiser.project(blocks(u["samples"], u["pitch"])) for u in speech]
        self._codes, self._sounds = torch.cat(codes), torch.cat(sounds)

    def draw(self, crops: int, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw codes (crops, 16, frames) and acoustic vectors (crops, frames, 64)."""
        at = torch.from_numpy(self._random.integers(len(self._codes) - frames, size=crops))
        which = at[:, None] + torch.arange(frames)
        return self._codes[which].transpose(1, 2), self._sounds[which]


def learn(
    decoder: Any, earlier: Any, line: torch.Tensor, lesson: Lesson, steps: int, rate: float = 2e-3
) -> Iterator[tuple[int, float]]:
    """Teach the first half of `decoder`; yields the step and the share of variance missed."""
    parts = (decoder.quantizer, decoder.pre_conv, decoder.pre_transformer)
    learnt = [p for part in parts for p in part.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learnt, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for step in range(1, steps + 1):
        codes, sounds = lesson.draw(crops=48, frames=32)
        with torch.no_grad():
            x = earlier.pre_conv((_with_one(sounds) @ line).transpose(1, 2)).transpose(1, 2)
            true = earlier.pre_transformer(inputs_embeds=x).last_hidden_state
        made = first_half(decoder, codes).transpose(1, 2)
        missed = ((made - true)[:, 4:] ** 2).mean() / true.var()
        optimiser.zero_grad()
        missed.backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimiser.step()
        schedule.step()
        yield step, missed.item()


def start(
    work: Path,
    state: dict[str, torch.Tensor],
    config: dict[str, Any],
    spoken: list[tuple[Codes, Samples]],
    steps: int,
    shards: int,
) -> Iterator[str | dict[str, torch.Tensor]]:
    """Make the new decoder's first state; yields progress, and the state last."""
    quantiser = Quantiser.load(work / CODEBOOKS)
    earlier = sized(config)
    earlier.load_state_dict(state)
    line, explained = sound_to_earlier(quantiser, earlier, spoken)
    yield f"{explained:.1%} of the variance explained"
    decoder = build(quantiser, 0)
    for part in ("pre_transformer", "upsample", "decoder"):
        getattr(decoder, part).load_state_dict(getattr(earlier, part).state_dict())
    lesson = Lesson(work, quantiser, shards, 0)
    some = 0.0
    for step, missed in learn(decoder, earlier, line, lesson, steps):
        some += missed / 100
        if step % 100 == 0:
            yield f"step {step}: {some:.3f} of the variance missed"
            some = 0.0
    yield decoder.state_dict()
