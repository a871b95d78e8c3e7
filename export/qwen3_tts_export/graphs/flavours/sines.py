"""The codec decoder's activation, x + sin²(a·x)·b."""

from typing import Any

import numpy as np
from onnxscript import ir, opset18

op: Any = opset18  # its type stubs do not know the values that a translation is given

# With q = r²·(_C1 + r²·(_C2 + r²·(_C3 + r²))) for r in [-1/2, 1/2], q / _HALF is sin²(πr/2), and by
# sin²(2v) = 4·sin²(v)·(1 - sin²(v)) _SCALE·q·(q - _HALF) is sin²(πr): 3e-8 off at most, which
# float32 rounds to 2e-7. Fitted to the least largest error (least squares, Lawson's weights).
_C1, _C2, _C3 = -22.136273909262474, 18.205790365722976, -5.980522158885819
_HALF, _SCALE = -8.971498256440565, -0.0496969844618239


def by_sine(x: ir.Value, a: ir.Value, b: ir.Value) -> Any:
    """The activation as it is said: for runtimes that have a kernel of their own for the sine."""
    sine = op.Sin(op.Mul(x, a))
    return op.Add(x, op.Mul(op.Mul(sine, sine), b))


def by_polynomial(x: ir.Value, a: ir.Value, b: ir.Value) -> Any:
    """The activation in products and sums alone, for CPUs: fourteen of them.

    The sine of ONNX Runtime has one thread and 5 ns for each number, that of OpenVINO no vectors.
    Both share these steps out among all threads, and OpenVINO makes one loop of them. Each costs
    ONNX Runtime a walk through memory; products of constants, a and b among them, it makes once.
    """
    assert x.dtype is not None
    dtype = x.dtype.numpy()

    def constant(value: float) -> Any:
        return op.Constant(value=ir.tensor(np.array(value, dtype)))

    turns = op.Mul(x, op.Mul(a, constant(1 / np.pi)))
    rest = op.Sub(turns, op.Round(turns))
    squared = op.Mul(rest, rest)
    q = squared
    for coefficient in (_C3, _C2, _C1):
        q = op.Mul(op.Add(q, constant(coefficient)), squared)
    sine_squared = op.Mul(op.Sub(q, constant(_HALF)), q)
    return op.Add(x, op.Mul(sine_squared, op.Mul(b, constant(_SCALE))))
