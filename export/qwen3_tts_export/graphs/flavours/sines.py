"""The square of a sine, which the codec decoder's activation is made of."""

from typing import Any

import numpy as np
from onnxscript import ir, opset18

op: Any = opset18  # its type stubs do not know the values that a translation is given

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


def by_sine(x: ir.Value) -> Any:
    """sin²(x), as it is said: for runtimes that have a kernel of their own for the sine."""
    sine = op.Sin(x)
    return op.Mul(sine, sine)


def by_polynomial(x: ir.Value) -> Any:
    """sin²(x) in products and sums alone, for CPUs.

    The sine of ONNX Runtime has one thread and 5 ns for each number, that of OpenVINO no vectors.
    Both share these steps out among all threads, and OpenVINO makes one loop of them.
    """
    assert x.dtype is not None
    dtype = x.dtype.numpy()

    def constant(value: float) -> Any:
        return op.Constant(value=ir.tensor(np.array(value, dtype)))

    turns = op.Mul(x, constant(1 / np.pi))
    rest = op.Sub(turns, op.Round(turns))
    squared = op.Mul(rest, rest)
    last, *others = reversed(_COEFFICIENTS)
    sum_ = op.Mul(squared, constant(last))
    for coefficient in others:
        sum_ = op.Mul(op.Add(sum_, constant(coefficient)), squared)
    return sum_
