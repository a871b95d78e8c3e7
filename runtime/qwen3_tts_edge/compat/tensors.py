"""Codes and vectors as the official package gives them."""

import sys
from typing import Any

from qwen3_tts_edge.arrays import Array


def tensor(array: Array) -> Any:
    """Give a tensor where the program has loaded PyTorch, which nothing here does; else the array.

    Such a program may save it with `torch.save`, or move it: it cannot tell who made it.
    """
    make = getattr(sys.modules.get("torch"), "tensor", None)
    return array if make is None else make(array)
