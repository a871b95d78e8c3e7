"""The codec decoder's activation, whose sine each graph flavour computes its own way."""

import torch
from torch import Tensor, nn

from qwen3_tts_export.modules.narrowing import cast


def _sine_squared(x: Tensor) -> Tensor:
    return x.sin().square()


sine_squared = torch.library.custom_op("qwen3_tts::sine_squared", _sine_squared, mutates_args=())


@sine_squared.register_fake
def _like(x: Tensor) -> Tensor:
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
        return x + sine_squared(x * self.a) * self.b
