"""The codec decoder's activation, whose sine each graph flavour computes its own way."""

import torch
from torch import Tensor, nn

from qwen3_tts_export.modules.narrowing import cast

# sin²(πr) is r² times this polynomial of r², for r in [-1/2, 1/2]: 6e-9 off at most, which float32
# rounds to 2e-7. Fitted to the least largest error (Lawson's weights on a Chebyshev grid).
_COEFFICIENTS = (
    9.869602920212255,
    -32.469581114047415,
    42.725384761185666,
    -30.085952977636484,
    12.990729672392952,
    -3.272945125440225,
)


def by_sine(x: Tensor) -> Tensor:
    """sin²(x), as it is said: for runtimes that have a kernel of their own for the sine."""
    return x.sin().square()


def by_polynomial(x: Tensor) -> Tensor:
    """sin²(x) in products and sums alone, for CPUs.

    The sine of ONNX Runtime has one thread and 5 ns for each number, that of OpenVINO no vectors.
    Both share these steps out among all threads, and OpenVINO makes one loop of them.
    """
    turns = x * (1 / torch.pi)
    rest = turns - turns.round()
    squared = rest * rest
    last, *others = reversed(_COEFFICIENTS)
    sum_ = squared * last
    for coefficient in others:
        sum_ = (sum_ + coefficient) * squared
    return sum_


sine_squared = torch.library.custom_op("qwen3_tts::sine_squared", by_sine, mutates_args=())


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
