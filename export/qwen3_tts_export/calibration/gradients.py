"""Let gradients through the operations that flavours lower: as through what defines them."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from qwen3_tts_export.modules.attention import attention, in_full
from qwen3_tts_export.modules.layers import add_norm, in_two


@cache
def let_gradients_through() -> None:
    """Register how: the operation is computed again, and its definition differentiated."""
    for operation, definition in ((attention, in_full), (add_norm, in_two)):
        operation.register_autograd(_backward(definition), setup_context=_keep)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.given = inputs


def _backward(definition: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Any, ...]]:
    def backward(context: Any, *gradients: Tensor) -> tuple[Any, ...]:
        given = [
            each.detach().requires_grad_(each.is_floating_point())
            if isinstance(each, Tensor)
            else each
            for each in context.given
        ]
        wanted = [each for each in given if isinstance(each, Tensor) and each.requires_grad]
        with torch.enable_grad():
            made = definition(*given)
            found = iter(torch.autograd.grad(made, wanted, gradients, allow_unused=True))
        return tuple(
            next(found) if isinstance(each, Tensor) and each.requires_grad else None
            for each in given
        )

    return backward
