"""A sum that a runtime may not reorder: a frame's feedback is the same in any company."""

import functools

import torch
from torch import Tensor


def _ordered_sum(terms: list[Tensor]) -> Tensor:
    return functools.reduce(torch.add, terms)


# A reduction along an axis is added in blocks that depend on how many rows there are.
ordered_sum = torch.library.custom_op("qwen3_tts::ordered_sum", _ordered_sum, mutates_args=())


@ordered_sum.register_fake
def _like(terms: list[Tensor]) -> Tensor:
    return torch.empty_like(terms[0])
