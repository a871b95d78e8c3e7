"""What torch makes of other operations, called as those while a network is traced.

The exporter has no node for these, or one that says less. It would take them apart by a trace of
all that was traced, which takes as long as the first.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

_aten = torch.ops.aten


def _to(x: Tensor, dtype: torch.dtype) -> Tensor:
    return _aten._to_copy.default(x, dtype=dtype)  # type: ignore[no-any-return]


def _conv1d(x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
    """A convolution: "same" padding is a number of zeros."""
    named = isinstance(how[1], str)
    convolve = _aten._convolution_mode.default.decompose if named else _aten.conv1d.default
    return convolve(x, weight, bias, *how)  # type: ignore[no-any-return]


PARTS: dict[Any, Callable[..., Any]] = {
    Tensor.__and__: torch.bitwise_and,
    Tensor.__or__: torch.bitwise_or,
    Tensor.T.__get__: _aten.numpy_T.default.decompose,  # type: ignore[attr-defined]
    Tensor.chunk: _aten.chunk.default.decompose,
    Tensor.double: partial(_to, dtype=torch.float64),
    Tensor.flatten: _aten.flatten.using_ints.decompose,
    Tensor.float: partial(_to, dtype=torch.float32),
    Tensor.narrow: _aten.narrow.default.decompose,
    Tensor.square: _aten.square.default.decompose,
    Tensor.to: _to,
    Tensor.unflatten: _aten.unflatten.int.decompose,
    torch.conv1d: _conv1d,
    torch.unflatten: _aten.unflatten.int.decompose,
}
