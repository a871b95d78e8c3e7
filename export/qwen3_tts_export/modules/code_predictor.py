"""The code predictor: the talker's hidden state and code 0 → the other codes, one a pass."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qwen3_tts_export.checkpoint.config import TalkerConfig, TransformerConfig
from qwen3_tts_export.modules.layers import (
    Cache,
    Linear,
    Trunk,
    Weights,
    copied,
    transposed,
    trunk_weights,
)
from qwen3_tts_export.modules.narrowing import cast, columns, wide
from qwen3_tts_export.modules.ordered_sum import ordered_sum

PROJECTION = "talker.code_predictor.small_to_mtp_projection"


class CodePredictor(nn.Module):
    """Five layers run 15 times a frame; each pass has a head and an embedding table of its own.

    There are two sets of tables because the predictor may be narrower than the talker:
    `embeddings` are as wide as the talker and are summed into its next input, `inputs` are the
    same rows through the official input projection, folded ahead of time. Where the widths are
    equal there is no projection and `inputs` are the `embeddings`.

    Source: Qwen3TTSTalkerCodePredictorModelForConditionalGeneration in
        qwen_tts/core/models/modeling_qwen3_tts.py.
    """

    def __init__(self, config: TransformerConfig, talker: TalkerConfig) -> None:
        super().__init__()
        self.codebooks = talker.num_codebooks
        self.cache_shape = (config.num_kv_heads, self.codebooks, config.head_dim)
        self.trunk = Trunk(config, self.codebooks)
        self.trunk.called_often = True
        self.heads = nn.ModuleList(
            Linear(config.hidden_size, config.vocab_size) for _ in range(self.codebooks - 1)
        )
        self.embeddings = nn.ModuleList(
            nn.Embedding(config.vocab_size, talker.hidden_size) for _ in range(self.codebooks - 1)
        )
        self.project: Linear | None = None
        if is_projected(config, talker):
            self.project = Linear(talker.hidden_size, config.hidden_size, bias=True)
            self.first_input = nn.Embedding(talker.vocab_size, config.hidden_size)
            self.inputs = nn.ModuleList(
                nn.Embedding(config.vocab_size, config.hidden_size)
                for _ in range(self.codebooks - 2)
            )

    def forward(
        self,
        hidden: Tensor,
        code: Tensor,
        embedding: nn.Embedding,
        choose: Callable[[Tensor, int], Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Complete a frame.

        Args:
            hidden: (batch, 1, talker hidden), the state that code 0 was sampled from.
            code: int64 (batch,), code 0.
            embedding: the talker's table, where code 0 is looked up.
            choose: (logits (batch, vocab), codebook) -> int64 (batch,).

        Returns:
            All codes, int64 (batch, codebooks), and the sum of their embeddings,
            (batch, 1, talker hidden).
        """
        codes, embedded = [code], [embedding(code)]
        rows = torch.cat((self._projected(hidden), self._first(embedding, code)[:, None]), dim=1)
        # Each past has a tensor to itself, so that a runtime may write its present over it.
        heads, *rest = self.cache_shape
        zeros = torch.zeros_like(code, dtype=self.trunk.dtype)[:, None, None, None]
        zeros = zeros.expand(-1, 2 * len(self.trunk.layers) * heads, *rest)
        pasts = torch.split(zeros, heads, dim=1)
        cache: Cache = list(zip(pasts[0::2], pasts[1::2], strict=True))
        # As many as there are passes, in the type that attention wants: made once, not in each.
        passes = torch.arange(1, self.codebooks, dtype=torch.int32, device=code.device)
        last = columns(passes.expand(code.shape[0], -1))
        for g, (head, table) in enumerate(zip(self.heads, self.embeddings, strict=True)):
            total = torch.full((1,), g + 2, dtype=torch.int32)  # the talker's state and g + 1 codes
            out, cache = self.trunk(rows, last[g], cache, total)
            code = choose(head(out[:, -1] if g == 0 else out.squeeze(1)), g + 1)
            codes.append(code)
            embedded.append(table(code))
            if g < len(self.heads) - 1:
                rows = (table if self.project is None else self.inputs[g])(code)[:, None]
        terms = torch.split(wide(torch.stack(embedded, dim=1)), 1, dim=1)
        return torch.stack(codes, dim=1), ordered_sum(list(terms))

    def rows_of(self, hidden: Tensor, codes: Tensor, embedding: nn.Embedding) -> Tensor:
        """Give what the passes read of frames that are known.

        Args:
            hidden: (frames, talker hidden), the states that codes 0 were sampled from.
            codes: int64 (frames, codebooks).
            embedding: As `forward` takes it.

        Returns:
            (frames, codebooks, hidden): the state, and all codes but the last.
        """
        tables = self.embeddings if self.project is None else self.inputs
        others = [table(code) for table, code in zip(tables, codes.T[1:-1], strict=False)]
        first = self._first(embedding, codes[:, 0])
        return torch.stack([self._projected(hidden), first, *others], dim=1)

    def _projected(self, hidden: Tensor) -> Tensor:
        return cast(
            hidden if self.project is None else self.project(hidden), self.trunk.norm.weight
        )

    def _first(self, embedding: nn.Embedding, code: Tensor) -> Tensor:
        row: Tensor = embedding(code) if self.project is None else self.first_input(code)
        return cast(row, self.trunk.norm.weight)


def is_projected(config: TransformerConfig, talker: TalkerConfig) -> bool:
    """Whether the checkpoint has an input projection: only where the two widths differ."""
    return config.hidden_size != talker.hidden_size


def predictor_weights(
    tensors: Mapping[str, Tensor], config: TransformerConfig, talker: TalkerConfig
) -> Weights:
    """What `CodePredictor` is made of, from the official `talker.code_predictor.*` tensors."""
    theirs = "talker.code_predictor"
    table = f"{theirs}.model.codec_embedding.{{}}.weight".format
    weights = trunk_weights(tensors, f"{theirs}.model", config, talker.num_codebooks)
    for g in range(talker.num_codebooks - 1):
        weights[f"heads.{g}.weight"] = transposed(tensors, f"{theirs}.lm_head.{g}.weight")
        weights[f"embeddings.{g}.weight"] = copied(tensors, table(g))
    if is_projected(config, talker):

        def folded(name: str) -> Callable[[], Tensor]:
            return lambda: F.linear(
                tensors[name].double(),
                tensors[f"{PROJECTION}.weight"].double(),
                tensors[f"{PROJECTION}.bias"].double(),
            ).float()

        weights["project.weight"] = transposed(tensors, f"{PROJECTION}.weight")
        weights["project.bias"] = copied(tensors, f"{PROJECTION}.bias")
        weights["first_input.weight"] = folded("talker.model.codec_embedding.weight")
        for g in range(talker.num_codebooks - 2):
            weights[f"inputs.{g}.weight"] = folded(table(g))
    return weights
