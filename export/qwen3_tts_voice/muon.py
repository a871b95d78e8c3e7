"""Muon for the kernels of convolutions too, each seen as a matrix of outputs by all it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


class Muon(torch.optim.Muon):
    """Torch's Muon, which takes matrices alone, on views of weights of two or more dimensions."""

    def __init__(self, weights: Iterable[torch.Tensor], lr: float) -> None:
        self._weights = list(weights)
        self._matrices = [w.detach().flatten(1).requires_grad_() for w in self._weights]
        super().__init__(
            self._matrices,
            lr=lr,
            momentum=0.95,
            weight_decay=0.01,
            ns_steps=4,
            adjust_lr_fn="original",
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the weights."""
        for weight in self._weights:
            weight.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the weights along their gradients."""
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        return super().step(closure)


def parted(model: nn.Module, *beginnings: str) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Part the weights of a model: what Muon is for, and all others.

    It is for what mixes channels, of the parts whose names begin like this: no norm, no depthwise
    convolution, none to or from the samples.
    """
    matrices, rest = [], []
    for name, p in model.named_parameters():
        mixes = p.dim() > 1 and min(p.shape[:2]) > 1
        (matrices if mixes and name.startswith(beginnings) else rest).append(p)
    return matrices, rest
