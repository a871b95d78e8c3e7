"""Arrays that pass from room to room, said once."""

import operator
from numbers import Real
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.errors import InputError, reason

Array = npt.NDArray[np.generic]
"""Of any type and shape."""

Samples = npt.NDArray[np.float32]
"""float32 (n,) in [-1, 1], mono, at the bundle's sample rate, 24 kHz."""

Block = npt.NDArray[np.float32]
"""float32 (n, channels), a stretch of a recording before its channels are mixed."""

Codes = npt.NDArray[np.int64]
"""int64 (frames, codebooks), codebook 0 first."""

Vector = npt.NDArray[np.float32]
"""float32 (hidden,), a speaker's."""

Rows = npt.NDArray[np.float32]
"""float32 (n, hidden)."""


def is_whole(value: object) -> TypeGuard[int]:
    """Tell whether a value is a whole number, of Python or NumPy; True and 1.0 are none."""
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:  # of a whole array too, which has __index__ all the same
        return False
    return not isinstance(value, bool | np.bool_)


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a number, of Python or NumPy, that a float can hold; True is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def strange_codes(codes: Array, size: int) -> str | None:
    """Say which codes a codebook of that size does not have; None where it has all."""
    if codes.min() >= 0 and codes.max() < size:
        return None
    return f"range over {codes.min()}..{codes.max()}, the codebooks have 0..{size - 1}"


def as_array(name: str, given: Any) -> Array:
    """Read an array: what NumPy takes, and any tensor of PyTorch.

    Args:
        name: What a message calls it.
        given: An array, numbers in lists, or a tensor of any type and device.

    Raises:
        InputError: It is no array.
    """
    try:
        if hasattr(given, "detach"):  # a tensor: numpy knows no bfloat16, no gradient and no GPU
            given = given.detach().cpu()
            given = given.float() if given.is_floating_point() else given
        found: Array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:  # tensors raise each of them
        raise InputError(f"{name} cannot be read as an array: {reason(error)}") from error
    return found
