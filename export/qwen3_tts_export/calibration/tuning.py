"""Tune a rounded code predictor as a whole, so that it chooses as the exact one does.

In a frame its errors meet fifteen times, and rounding layer by layer does not see that. So the
numbers are learnt: what they are rounded from moves against the divergence of the codes'
distributions, as if rounding were not there (Bengio and others, 2013, arXiv:1308.3432).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from qwen3_tts_export.calibration.compensated import LEAST, MOST, spread, whole
from qwen3_tts_export.calibration.gradients import let_gradients_through
from qwen3_tts_export.calibration.kept import Kept
from qwen3_tts_export.calibration.layers import through_all
from qwen3_tts_export.checkpoint.config import TransformerConfig
from qwen3_tts_export.modules.code_predictor import CodePredictor

STEPS = 300
_FRAMES = 128
"""In a step."""
_RATE = 1e-3
_KEPT = "tuning"
_BETWEEN = 25
"""Steps between two that are kept. On a CPU so many of a 0.6B take minutes, and 1 GB."""


def logits(predictor: CodePredictor, config: TransformerConfig, rows: Tensor) -> Tensor:
    """Let a predictor read frames that are known.

    Args:
        predictor: Which.
        config: Its own.
        rows: (frames, codebooks, hidden), of `CodePredictor.rows_of`.

    Returns:
        (frames, codebooks - 1, codebook).
    """
    hidden = through_all(predictor.trunk, config, rows)
    of_each = [head(hidden[:, book]) for book, head in enumerate(predictor.heads, start=1)]
    return torch.stack(of_each, dim=1)


def tune(
    predictor: CodePredictor,
    config: TransformerConfig,
    scales: Mapping[str, Tensor],
    rows: Tensor,
    wanted: Tensor,
    kept: Kept,
    on_step: Callable[[int], None],
) -> dict[str, Tensor]:
    """Learn the numbers of a predictor's matrices. What was stopped goes on.

    Args:
        predictor: Its matrices stand for whole numbers already; they end as what the learnt ones
            stand for.
        config: Its own.
        scales: By matrix, as `predictor` calls its weight: they stay. Other weights do too.
        rows: As `logits` takes them, all frames.
        wanted: Logits of the exact predictor, likewise.
        kept: Where an earlier run of the same has left how far it came.
        on_step: Called after each step with how many are done.

    Returns:
        Numbers int8 (in, out), by matrix.
    """
    let_gradients_through()
    weights = {name: predictor.get_parameter(name) for name in scales}
    moved = {name: weight.detach().clone() for name, weight in weights.items()}
    optimizer = torch.optim.Adam(moved.values(), betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _RATE, total_steps=STEPS, pct_start=0.1
    )
    chance = torch.Generator().manual_seed(0)
    done = 0
    if (begun := kept.saved(_KEPT)) is not None:
        done = begun["steps"]
        optimizer.load_state_dict(begun["optimizer"])
        schedule.load_state_dict(begun["schedule"])
        for name, tensor in begun["moved"].items():
            moved[name].copy_(tensor)
            weights[name].data = whole(numbers_of(moved[name], scales[name]), scales[name])
    for weight in weights.values():
        weight.requires_grad_()
    for step in range(STEPS):
        some = torch.randint(len(rows), (_FRAMES,), generator=chance).to(rows.device)
        if step < done:
            continue
        found = logits(predictor, config, rows[some]).log_softmax(-1)
        exact = wanted[some].log_softmax(-1)
        loss = F.kl_div(found, exact, reduction="sum", log_target=True)
        torch.autograd.backward(loss / found[..., 0].numel())
        for name, weight in weights.items():
            assert weight.grad is not None
            exact_number = moved[name] / spread(scales[name], weight)
            moved[name].grad = weight.grad * ((exact_number >= LEAST) & (exact_number <= MOST))
            weight.grad = None
        optimizer.step()
        schedule.step()
        for name, weight in weights.items():
            weight.data = whole(numbers_of(moved[name], scales[name]), scales[name])
        if (step + 1) % _BETWEEN == 0:
            states = {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
            kept.save(_KEPT, {"steps": step + 1, "moved": moved, **states})
        on_step(step + 1)
    return {name: numbers_of(each, scales[name]).to(torch.int8) for name, each in moved.items()}


def numbers_of(weight: Tensor, scales: Tensor) -> Tensor:
    """Round a matrix (in, out) to the nearest numbers, as float32."""
    return (weight / spread(scales, weight)).round().clamp(LEAST, MOST)
