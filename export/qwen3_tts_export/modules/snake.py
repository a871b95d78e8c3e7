"""The codec decoder's activation, which each graph flavour computes its own way."""

import torch
from torch import Tensor, nn

from qwen3_tts_export.modules.narrowing import cast


def _snaked(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return x + (x * a).sin().square() * b


snaked = torch.library.custom_op("qwen3_tts::snaked", _snaked, mutates_args=())


@snaked.register_fake
def _like(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.empty_like(x)


class Snake(nn.Module):
    """x + sin²(a·x)·b, with the official exponentials folded into a and b.

    Source: SnakeBeta in qwen_tts/core/tokenizer_12hz/modeling_qwen3_tts_tokenizer_v2.py.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.empty(channels, 1))
        self.b = nn.Parameter(torch.empty(channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, time), shape kept."""
        x = cast(x, self.a)
        return snaked(x, self.a, self.b)
