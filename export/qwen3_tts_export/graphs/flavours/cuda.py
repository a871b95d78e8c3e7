"""What ONNX Runtime has no CUDA kernel for at the opset of RMSNormalization, said otherwise.

A kernel there is for one version of an operation, or for a range of them that is closed. From
opset 19 on Equal is another version than the one with a kernel, and would run on the CPU.

Source: docs/OperatorKernels.md of ONNX Runtime.
"""

from typing import Any

from onnxscript import ir, opset23

_BOOL = int(ir.DataType.BOOL)
op: Any = opset23  # its type stubs do not know the values that a translation is given


def equal(left: ir.Value, right: ir.Value) -> Any:
    """Whole numbers: their difference is nothing."""
    return op.Not(op.Cast(op.Sub(left, right), to=_BOOL))
