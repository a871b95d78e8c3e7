"""One frame step: talker, code 0, the code predictor's 15 passes and the row they feed back.

This is the whole loop of the model between two frames, and what one graph launch runs where the
fifteen passes fit in one graph. `TalkerStep` is its first half, for where they do not.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qwen3_tts_export.checkpoint.config import CheckpointConfig
from qwen3_tts_export.modules.code_predictor import CodePredictor, predictor_weights
from qwen3_tts_export.modules.layers import Weights
from qwen3_tts_export.modules.narrowing import columns
from qwen3_tts_export.modules.sampling import Choice
from qwen3_tts_export.modules.talker import Talker, talker_weights

RESERVED = 1024
"""The official generate() suppresses this many ids at the end of the talker's vocabulary."""


class TalkerStep(nn.Module):
    """Rows in, code 0 of a frame and the state it was sampled from out.

    Source: Qwen3TTSTalkerForConditionalGeneration.forward and the logits processors that
        Qwen3TTSForConditionalGeneration.generate sets up, in
        qwen_tts/core/models/modeling_qwen3_tts.py.
    """

    def __init__(self, config: CheckpointConfig, max_positions: int) -> None:
        super().__init__()
        self.talker = Talker(config.talker, max_positions)
        self.end_of_speech = config.talker.codec_eos_id

    def forward(
        self,
        rows: Tensor,
        feedback: Tensor,
        length: Tensor,
        position: Tensor,
        draws: Tensor,
        allow_end: Tensor,
        temperature: Tensor,
        top_k: Tensor,
        top_p: Tensor,
        repetition_penalty: Tensor,
        past: list[Tensor],
        talker_ranks: Tensor | None = None,
        total: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Choose code 0 for every batch row.

        Args:
            rows: (batch, rows, hidden): the prompt for the first frame, afterwards one text row.
            feedback: (batch, 1, hidden), the previous frame's summed embedding; zeros at the
                start of an utterance.
            length: int64 (batch,), valid rows in this call. 0 lets a batch row rest: its state
                stays, what is chosen for it means nothing.
            position: int64 (batch,), rows already in the KV cache.
            draws: (batch, codebooks) in [0, 1), one per code.
            allow_end: bool (batch,), false for the first two frames.
            temperature: (batch, 2), the talker's and the predictor's; likewise the next two.
            top_k: int64 (batch, 2).
            top_p: (batch, 2).
            repetition_penalty: (batch,), on codebook 0 only.
            past: the carried state. First `seen`, bool (batch, vocab), what codebook 0 has spoken
                in this utterance: false at the start of one. Then key and value of every talker
                layer, (batch, kv_heads, capacity, head_dim).
            talker_ranks: int64, 0 up to the talker's largest top_k, see `sample`; None is all.
            total: int32 (1,), see `attention`.

        Returns:
            Code 0, int64 (batch,), the talker's normalised hidden state (batch, 1, hidden), and
            the next state.
        """
        seen, *keys_and_values = past
        cache = list(zip(keys_and_values[0::2], keys_and_values[1::2], strict=True))
        logits, hidden, present = self.talker(rows + feedback, length, position, cache, total)

        codes = torch.arange(logits.shape[-1], device=logits.device)
        is_end = codes == self.end_of_speech
        banned = ((codes >= logits.shape[-1] - RESERVED) & ~is_end) | (is_end & ~allow_end[:, None])
        penalty = repetition_penalty[:, None]
        penalised = torch.where(logits < 0, logits * penalty, logits / penalty)
        scores = torch.where(seen, penalised, logits).masked_fill(banned, float("-inf"))

        code = Choice([draws[:, 0]], temperature, top_k, top_p, (talker_ranks, None))(scores, 0)
        seen = seen | ((codes == code[:, None]) & (length > 0)[:, None])
        return code, hidden, [seen, *(tensor for pair in present for tensor in pair)]


class Frame(TalkerStep):
    """Rows in, one frame of codes out. The same step reads the prompt and speaks every frame."""

    def __init__(self, config: CheckpointConfig, max_positions: int) -> None:
        super().__init__(config, max_positions)
        self.predictor = CodePredictor(config.predictor, config.talker)

    def forward(  # type: ignore[override]
        self,
        rows: Tensor,
        length: Tensor,
        position: Tensor,
        draws: Tensor,
        allow_end: Tensor,
        temperature: Tensor,
        top_k: Tensor,
        top_p: Tensor,
        repetition_penalty: Tensor,
        talker_ranks: Tensor,
        predictor_ranks: Tensor,
        total: Tensor,
        past: list[Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        """Run one frame for every batch row.

        Arguments are those of `TalkerStep`, but `feedback` is carried: first in the state.
        `predictor_ranks` are to the predictor what `talker_ranks` are to the talker.

        Returns:
            Codes int64 (batch, codebooks) and the next state.
        """
        feedback, *others = past
        code, hidden, present = super().forward(
            rows,
            feedback,
            length,
            position,
            draws,
            allow_end,
            temperature,
            top_k,
            top_p,
            repetition_penalty,
            others,
            talker_ranks,
            total,
        )
        choose = Choice(columns(draws), temperature, top_k, top_p, (talker_ranks, predictor_ranks))
        frame, summed = self.predictor(hidden, code, self.talker.embedding, choose)
        moves = (length > 0)[:, None, None]
        return frame, [torch.where(moves, summed, feedback), *present]


def talker_step_weights(
    tensors: Mapping[str, Tensor], config: CheckpointConfig, max_positions: int
) -> Weights:
    """What `TalkerStep` is made of, from the official `talker.*` tensors."""
    weights = talker_weights(tensors, config.talker, max_positions)
    return {f"talker.{name}": make for name, make in weights.items()}


def frame_weights(
    tensors: Mapping[str, Tensor], config: CheckpointConfig, max_positions: int
) -> Weights:
    """What `Frame` is made of, from the official `talker.*` tensors."""
    predictor = predictor_weights(tensors, config.predictor, config.talker)
    weights = talker_step_weights(tensors, config, max_positions)
    return weights | {f"predictor.{name}": make for name, make in predictor.items()}
