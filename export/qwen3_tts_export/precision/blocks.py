"""Round matrices to whole numbers, a scale a block."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.arrays import Array
from qwen3_tts_export.precision.policy import Blocks

Floats = npt.NDArray[np.float32]

_SMALLEST_BLOCK = 16  # that MatMulNBits takes


@dataclass(frozen=True)
class Matrix:
    """A matrix that is to be rounded to whole numbers.

    Attributes:
        name: What the graphs call it.
        weight: (in, out).
        bits: Of the numbers.
        block: Inputs that share a scale.
        stored: Makes scales what they are stored as.
    """

    name: str
    weight: Floats
    bits: int
    block: int
    stored: Callable[[Floats], Array]


Rounder: TypeAlias = Callable[[Matrix], tuple[npt.NDArray[np.int8], Array]]
"""Rounds a matrix: numbers int8 (in, out), and scales (in / block, out) as stored."""


def nearest(matrix: Matrix) -> tuple[npt.NDArray[np.int8], Array]:
    """Round each weight to the nearest number: a `Rounder`."""
    scales = matrix.stored(scales_of(matrix.weight, matrix.bits, matrix.block))
    return to_numbers(matrix.weight, scales, matrix.bits), scales


def block_of(inputs: int, blocks: Blocks) -> int:
    """Find how many of a matrix's inputs share a scale, where their number has no larger divisor.

    Returns:
        A power of two, unless it is all of them; 0 where they cannot be cut into blocks.
    """
    block = math.gcd(inputs, blocks.size)
    return block if block >= _SMALLEST_BLOCK else 0


def scales_of(weight: Floats, bits: int, block: int) -> Floats:
    """Compute the symmetric scales of a matrix (in, out).

    Args:
        weight: It.
        bits: Of its numbers.
        block: Inputs that share a scale.

    Returns:
        float32 (in / block, out).
    """
    cut = weight.reshape(-1, block, weight.shape[1])
    scales: Floats = np.abs(cut).max(axis=1) / np.float32(largest(bits))
    return scales


def never_zero(scales: Array) -> Array:
    """Replace scales of 0, which TensorRT refuses, by 1.

    The numbers of such a block are 0, see `to_numbers`.
    """
    return np.where(scales == 0, np.ones_like(scales), scales)


def to_numbers(weight: Floats, scales: Array, bits: int = 8) -> npt.NDArray[np.int8]:
    """Round a matrix (in, out) to numbers: weight ≈ numbers * scales, as `whole` computes it.

    Give the scales as they are stored: the numbers then make up for what rounding the scales lost.

    Returns:
        int8 (in, out), in -127..127 for 8 bits and -7..7 for 4.
    """
    most = largest(bits)
    spread = np.repeat(scales.astype(np.float32), len(weight) // len(scales), axis=0)
    rounded: npt.NDArray[np.int8] = np.rint(weight / spread).clip(-most, most).astype(np.int8)
    return rounded


def whole(numbers: npt.NDArray[np.int8], scales: Array) -> Floats:
    """Compute what a rounded matrix stands for, float32 (in, out)."""
    spread = np.repeat(scales.astype(np.float32), len(numbers) // len(scales), axis=0)
    matrix: Floats = numbers * spread
    return matrix


def largest(bits: int) -> int:
    """Return the largest of the numbers that so many bits hold on both sides of 0."""
    return (1 << (bits - 1)) - 1
