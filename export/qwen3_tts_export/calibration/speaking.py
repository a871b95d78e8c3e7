"""Let the networks themselves speak, several utterances at a time, and keep what they read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.speech.sampling import MIN_FRAMES, Sampling, draws, inputs
from qwen3_tts_export.calibration.asking import Asked
from qwen3_tts_export.checkpoint.config import CheckpointConfig
from qwen3_tts_export.modules.frame import Frame

_MOST_FRAMES = 100
"""Of an utterance, 8 seconds: the texts are shorter."""


@dataclass(frozen=True)
class Said:
    """One utterance.

    Attributes:
        rows: float32 (n, hidden), all that the talker read. The last of them, one a frame, are
            those after which the codes were chosen.
        codes: int64 (frames, codebooks).
    """

    rows: Tensor
    codes: Tensor


@torch.no_grad()
def speak(
    frame: Frame,
    config: CheckpointConfig,
    manifest: Manifest,
    asked: Iterable[Asked],
    on_frame: Callable[[int], None] = lambda _: None,
) -> list[Said]:
    """Speak some utterances side by side, each until it ends.

    Args:
        frame: In float32.
        config: Of the checkpoint.
        manifest: Says how codes are sampled.
        asked: What is to be said.
        on_frame: Called after each frame with how many all of them have said.
    """
    asked = list(asked)
    talker, predictor, device = config.talker, config.predictor, frame.talker.head.weight.device
    prompts = [torch.from_numpy(each.prompt.rows) for each in asked]
    settings = [
        inputs(
            (Sampling.greedy() if each.greedy else Sampling()).over(manifest.sampling),
            manifest.vocab_size,
            manifest.codebook_size,
        )
        for each in asked
    ]
    chosen = {
        name: torch.from_numpy(np.concatenate([each[name] for each in settings])).to(device)
        for name in settings[0]
    }
    rows = torch.nn.utils.rnn.pad_sequence(prompts, batch_first=True)
    length = torch.tensor([len(each) for each in prompts])
    position = torch.zeros_like(length)
    batch, capacity = len(asked), rows.shape[1] + _MOST_FRAMES
    cache = (batch, talker.num_kv_heads, capacity, talker.head_dim)
    state = [
        torch.zeros(batch, 1, talker.hidden_size, device=device),
        torch.zeros(batch, talker.vocab_size, dtype=torch.bool, device=device),
        *(torch.zeros(cache, device=device) for _ in range(2 * talker.num_layers)),
    ]
    ranks = [
        torch.arange(size, device=device) for size in (talker.vocab_size, predictor.vocab_size)
    ]
    read = [[each] for each in prompts]
    said: list[list[Tensor]] = [[] for _ in asked]
    for number in range(_MOST_FRAMES):
        numbers = [draws(each.seed, number, talker.num_codebooks) for each in asked]
        codes, state = frame(
            rows.to(device),
            length.to(device),
            position.to(device),
            torch.from_numpy(np.stack(numbers)).to(device),
            torch.full((batch,), number >= MIN_FRAMES, device=device),
            **chosen,
            talker_ranks=ranks[0],
            predictor_ranks=ranks[1],
            total=torch.zeros(1, dtype=torch.int32),
            past=state,
        )
        position = position + length
        length = length.clamp(max=1) * (codes[:, 0].cpu() != talker.codec_eos_id)
        if not length.any():
            break
        rows, feedback = torch.zeros(batch, 1, talker.hidden_size), state[0].cpu()
        for slot in length.nonzero()[:, 0].tolist():
            row = asked[slot].prompt.text_row(number)
            assert row is not None
            rows[slot] = torch.from_numpy(row)
            said[slot].append(codes[slot].cpu())
            read[slot].append(rows[slot] + feedback[slot])
        on_frame(sum(map(len, said)))
    # What was fed back after the last frame is read by nobody, or only to end.
    return [
        Said(torch.cat(of[: len(codes)]), torch.stack(codes))
        for of, codes in zip(read, said, strict=True)
        if codes
    ]
