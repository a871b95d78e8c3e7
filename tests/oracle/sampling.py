"""The official sampling distribution, from transformers' own logits processors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Scores = npt.NDArray[np.float32]


def official_processors(
    *,
    do_sample: bool = True,
    temperature: float = 0.9,
    top_k: int = 50,
    top_p: float = 1.0,
    repetition_penalty: float = 1.0,
    suppress: Sequence[int] = (),
    eos: int | None = None,
) -> Any:
    """Make the `LogitsProcessorList` that official `generate` runs with, in its order.

    The talker passes `repetition_penalty`, `suppress` and `eos`; the code predictor none of them.
    That this list is what a live run makes is proved in tests/parity/test_oracle.py, against
    `Official.live_processors`.

    Source: `talker_kwargs` in `Qwen3TTSForConditionalGeneration.generate`,
        qwen_tts/core/models/modeling_qwen3_tts.py; `GenerationMixin._get_logits_processor`,
        transformers/generation/utils.py.
    """
    from transformers.generation import logits_process as made

    processors = made.LogitsProcessorList()
    if repetition_penalty != 1.0:
        processors.append(made.RepetitionPenaltyLogitsProcessor(repetition_penalty))
    if eos is not None:
        ends = torch.tensor([eos])
        processors.append(made.MinLengthLogitsProcessor(2, ends))
        processors.append(made.MinNewTokensLengthLogitsProcessor(0, 2, ends))
    if suppress:
        processors.append(made.SuppressTokensLogitsProcessor(list(suppress)))
    if do_sample:
        if temperature != 1.0:
            processors.append(made.TemperatureLogitsWarper(temperature))
        if top_k != 0:
            processors.append(made.TopKLogitsWarper(top_k=top_k))
        if top_p < 1.0:
            processors.append(made.TopPLogitsWarper(top_p=top_p))
    return processors


def official_scores(
    logits: npt.ArrayLike, seen_ids: Sequence[int], step: int, **settings: Any
) -> Scores:
    """Run the processors over one row of logits.

    Args:
        logits: (vocab,), read as float32.
        seen_ids: The codebook-0 ids made so far in this utterance; repeats do not matter.
        step: How many codes were made so far; at 0 and 1 the end of speech is banned.
        **settings: As for `official_processors`.

    Returns:
        float32 (vocab,), -inf where nothing may be drawn. Their first maximum is the greedy code.
    """
    distinct = sorted(set(seen_ids))
    if len(distinct) > step:
        raise ValueError(f"{len(distinct)} distinct codes cannot come from {step} steps")
    row = [*distinct, *distinct[:1] * (step - len(distinct))] or [0] * step
    ids = torch.tensor([row], dtype=torch.long).reshape(1, len(row))
    scores = torch.tensor(np.asarray(logits, dtype=np.float32))[None].clone()
    return official_processors(**settings)(ids, scores)[0].numpy()


def official_probabilities(
    logits: npt.ArrayLike, seen_ids: Sequence[int], step: int, **settings: Any
) -> Scores:
    """Give the distribution official sampling draws from: softmax of `official_scores`."""
    scores = official_scores(logits, seen_ids, step, **settings)
    return torch.softmax(torch.from_numpy(scores), dim=-1).numpy()
