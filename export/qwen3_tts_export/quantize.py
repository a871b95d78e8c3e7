"""Which weights a precision changes, and how. The runtime is told; it never decides."""

import math

import ml_dtypes
import numpy as np
import numpy.typing as npt
from onnxscript import ir

PRECISIONS = ("fp32", "int8")
HALF = np.dtype(ml_dtypes.bfloat16)

# Inputs that are rounded together in MatMulNBits. Up to 64 a row's result is the same to the last
# bit whatever the batch; from 128 on it is not, and one flipped rounding is another utterance.
_BLOCK, _SMALLEST_BLOCK = 64, 16
_ACCURACY_LEVEL = 4  # int8 products on the CPU; without it the same node is 60 times slower


def table_dtype(precision: str) -> npt.DTypeLike:
    """The type of the embedding rows that prompts are built from, on disk."""
    return np.float32 if precision == "fp32" else np.float16


def is_quantized(name: str, shape: tuple[int, ...], precision: str) -> bool:
    """Whether a weight becomes int8: the matrices of talker and predictor layers, and no other.

    Heads, embeddings, norms and the codec stay as they are: together they are few bytes and
    most of the damage. So does a matrix whose inputs cannot be cut into blocks.
    """
    return (
        precision == "int8"
        and math.gcd(shape[0], _BLOCK) >= _SMALLEST_BLOCK
        and ".trunk.layers." in name
        and name.endswith((".qkv.weight", ".output.weight", ".gate_up.weight", ".down.weight"))
    )


def is_halved(weight: npt.NDArray[np.float32], precision: str) -> bool:
    """Whether a weight is stored in bfloat16: in an int8 bundle, where that loses nothing.

    Checkpoints are bfloat16, so most weights that stay float are halved on disk. In an fp32
    bundle they are not: there the float32 file is mapped into memory as it is.
    """
    return precision == "int8" and bool((weight == weight.astype(HALF).astype(np.float32)).all())


def to_int8(
    weight: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Round a matrix (in, out) to int8, one symmetric scale an output column.

    Returns:
        int8 (in, out) in -127..127 and float32 (out,): weight ≈ int8 * scale.
    """
    scale = np.abs(weight).max(axis=0) / 127.0
    scale = np.where(scale == 0, 1.0, scale).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def matmul_nbits(matmul: ir.Node, packed: ir.Value, scales: ir.Value) -> None:
    """Turn a MatMul by a constant into ONNX Runtime's MatMulNBits, in place.

    The portable form, DequantizeLinear before MatMul, is fused to this very node when a weight
    has one use. The code predictor uses each weight fifteen times; then nothing is fused, and
    the frame unpacks 15 x 79 M weights to float32 on every launch.
    """
    assert matmul.op_type == "MatMul"
    assert packed.shape is not None
    outputs, blocks, block = packed.shape.numpy()
    matmul.op_type, matmul.domain = "MatMulNBits", "com.microsoft"
    matmul.resize_inputs(3)
    matmul.replace_input_with(1, packed)
    matmul.replace_input_with(2, scales)
    numbers = {
        "K": blocks * block,
        "N": outputs,
        "bits": 8,
        "block_size": block,
        "accuracy_level": _ACCURACY_LEVEL,
    }
    for name, number in numbers.items():
        matmul.attributes[name] = ir.AttrInt64(name, int(number))


def pack(
    weight: npt.NDArray[np.int8], scale: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Lay an int8 matrix out as MatMulNBits reads it, its numbers unchanged.

    Args:
        weight: int8 (in, out), from `to_int8`.
        scale: float32 (out,).

    Returns:
        uint8 (out, blocks, block), offset by 128, and float32 (out, blocks).
    """
    inputs, outputs = weight.shape
    block = math.gcd(inputs, _BLOCK)
    packed = (weight.T.astype(np.int16) + 128).astype(np.uint8)
    packed = packed.reshape(outputs, inputs // block, block)
    return packed, np.repeat(scale[:, None], inputs // block, axis=1)
