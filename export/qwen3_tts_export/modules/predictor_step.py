"""The code predictor one pass at a time: what is launched sixteen times a frame.

The fifteen passes of `CodePredictor` are one graph here, for runtimes that cannot hold them side by
side: which pass it is comes in as a number, and heads and tables are picked by it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qwen3_tts_export.checkpoint.config import CheckpointConfig, TalkerConfig, TransformerConfig
from qwen3_tts_export.modules.code_predictor import PROJECTION, is_projected
from qwen3_tts_export.modules.layers import (
    Linear,
    Trunk,
    Weights,
    copied,
    transposed,
    trunk_weights,
)
from qwen3_tts_export.modules.narrowing import cast, wide
from qwen3_tts_export.modules.sampling import sample


class StackedPredictor(nn.Module):
    """The weights of `CodePredictor`, those of all codebooks in one tensor each.

    The talker's table is the first in `embedding`: all codebooks are looked up in it. The official
    input projection stays a matrix, for each pass has to read it for the talker's state anyway.
    """

    def __init__(self, config: TransformerConfig, talker: TalkerConfig) -> None:
        super().__init__()
        others = talker.num_codebooks - 1
        self.trunk = Trunk(config, talker.num_codebooks)
        self.heads = nn.Parameter(torch.empty(others, config.hidden_size, config.vocab_size))
        self.embedding = nn.Embedding(
            talker.vocab_size + others * config.vocab_size, talker.hidden_size
        )
        self.project: Linear | None = None
        if is_projected(config, talker):
            self.project = Linear(talker.hidden_size, config.hidden_size, bias=True)


class PredictorStep(nn.Module):
    """One pass of the code predictor, whichever it is.

    Source: Qwen3TTSTalkerCodePredictorModelForConditionalGeneration in
        qwen_tts/core/models/modeling_qwen3_tts.py, which reads the talker's state and code 0 in
        its first pass together; here they are two passes.
    """

    def __init__(self, config: CheckpointConfig) -> None:
        super().__init__()
        self.codebooks = config.talker.num_codebooks
        self.sizes = (config.talker.vocab_size, config.predictor.vocab_size)
        self.predictor = StackedPredictor(config.predictor, config.talker)

    def forward(
        self,
        hidden: Tensor,
        code: Tensor,
        length: Tensor,
        step: Tensor,
        draws: Tensor,
        temperature: Tensor,
        top_k: Tensor,
        top_p: Tensor,
        past: list[Tensor],
    ) -> list[Tensor]:
        """Read the talker's state (step 0), or the code before, and choose the code of `step`.

        Args:
            hidden: (batch, 1, talker hidden), the state that code 0 was sampled from.
            code: int64 (batch,), code 0.
            length: int64 (batch,), as the talker was given; 0 for a batch row that rests and
                keeps its `feedback`.
            step: int64 (1,), 0 to codebooks - 1: the codebook whose code is written. Step 0
                writes `code`, and what the last frame left behind changes nothing.
            draws: (batch, codebooks) in [0, 1), one per code.
            temperature: (batch, 2), the talker's and the predictor's; likewise the next two.
            top_k: int64 (batch, 2).
            top_p: (batch, 2).
            past: the carried state. First `codes`, int64 (batch, codebooks), of which those
                before `step` are written, and `feedback` (batch, 1, talker hidden), the sum of
                their embeddings. Then key and value of every layer, (batch, kv_heads, codebooks,
                head_dim).

        Returns:
            The next state. After the last step `codes` is the frame and `feedback` what the
            talker is to add to its next row.
        """
        codes, feedback, *keys_and_values = past
        cache = list(zip(keys_and_values[0::2], keys_and_values[1::2], strict=True))
        begins, before = step == 0, (step - 1).clamp(min=0)
        row = torch.where(begins, hidden, self._embedded(codes.index_select(1, before), before))
        if self.predictor.project is not None:
            row = self.predictor.project(row)
        out, present = self.predictor.trunk(row, step.expand_as(code), cache)
        heads = self.predictor.heads.index_select(0, before).squeeze(0)
        scores = (cast(out, heads) @ heads).squeeze(1)
        draw = draws.index_select(1, step).squeeze(1)
        chosen = sample(scores, draw, temperature[:, 1], top_k[:, 1], top_p[:, 1])
        chosen = torch.where(begins, code, chosen)[:, None]
        codes = torch.where(torch.arange(self.codebooks) == step, chosen, codes)
        summed = feedback.masked_fill(begins, 0.0) + self._embedded(chosen, step)
        feedback = torch.where((length > 0)[:, None, None], summed, feedback)
        return [codes, feedback, *(tensor for pair in present for tensor in pair)]

    def _embedded(self, code: Tensor, codebook: Tensor) -> Tensor:
        """Codes (batch, 1) of a codebook (1,) -> (batch, 1, talker hidden)."""
        talker, predictor = self.sizes
        first = torch.where(codebook == 0, 0, talker + (codebook - 1) * predictor)
        return wide(self.predictor.embedding(code + first))


def predictor_step_weights(tensors: Mapping[str, Tensor], config: CheckpointConfig) -> Weights:
    """What `PredictorStep` is made of, from the official `talker.*` tensors."""
    theirs, codebooks = "talker.code_predictor", config.talker.num_codebooks
    tables = ["talker.model.codec_embedding.weight"]
    tables += [f"{theirs}.model.codec_embedding.{g}.weight" for g in range(codebooks - 1)]
    heads = [f"{theirs}.lm_head.{g}.weight" for g in range(codebooks - 1)]
    weights = trunk_weights(tensors, f"{theirs}.model", config.predictor, codebooks)
    weights["heads"] = lambda: (
        torch.stack([tensors[name] for name in heads]).float().transpose(1, 2).contiguous()
    )
    weights["embedding.weight"] = lambda: torch.cat([tensors[name] for name in tables]).float()
    if is_projected(config.predictor, config.talker):
        weights["project.weight"] = transposed(tensors, f"{PROJECTION}.weight")
        weights["project.bias"] = copied(tensors, f"{PROJECTION}.bias")
    return {f"predictor.{name}": make for name, make in weights.items()}
