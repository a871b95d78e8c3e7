"""What a bundle says about one of its graphs: names, types, shapes, what is carried."""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated

import numpy as np
from msgspec import Meta

from qwen3_tts_edge.files import Strict

_DType = Annotated[str, Meta(pattern="^(float32|float16|bfloat16|int8|int32|int64|bool)$")]
_Size = Annotated[int, Meta(ge=1, le=1 << 40)]
_Axis = Annotated[str, Meta(pattern=r"^(\d{1,9}\*)*[a-z_]+(\*[a-z_]+)*(/[1-9]\d{0,8})?$")]
_Bytes = Annotated[int, Meta(ge=0)]


class TensorSpec(Strict, frozen=True):
    """A graph's input or output: dimensions are numbers or the names of dynamic axes.

    The axis of an output may be computed from one of an input: `1920*frames` is a product,
    `samples/1920` a quotient rounded up.
    """

    name: str
    dtype: _DType
    shape: tuple[_Size | _Axis, ...]

    @property
    def stored(self) -> np.dtype[np.generic]:
        """Give the numpy type that holds it: uint16 for bfloat16, which numpy lacks."""
        return np.dtype(np.uint16 if self.dtype == "bfloat16" else self.dtype)

    def sized(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Give the shape in numbers, for these sizes of the named axes."""
        return tuple(_size(axis, sizes) for axis in self.shape)

    def nbytes(self, sizes: Mapping[str, int]) -> int:
        """Give its size in bytes, for these sizes of the named axes."""
        return math.prod(self.sized(sizes)) * self.stored.itemsize


def _size(axis: int | str, sizes: Mapping[str, int]) -> int:
    if isinstance(axis, int):
        return axis
    number, names, divisor = _read(axis)
    for name in names:
        number *= sizes[name]
    return -(-number // divisor)


@lru_cache(maxsize=256)
def _read(axis: str) -> tuple[int, tuple[str, ...], int]:
    """Take an axis apart: the product of its numbers, its names, its divisor."""
    product, _, divisor = axis.partition("/")
    factors = product.split("*")
    number = math.prod(int(each) for each in factors if each.isdigit())
    return number, tuple(each for each in factors if not each.isdigit()), int(divisor or 1)


class StateSpec(Strict, frozen=True):
    """A tensor carried from launch to launch: `present` comes out, and is `past` the next time."""

    past: TensorSpec
    present: str


class RoundingSpec(Strict, frozen=True):
    """What rounding the weights to a narrower float has changed.

    Attributes:
        dtype: The narrower type. The graph computes in it, but for what must be float32.
        numbers: How many weights were rounded.
        large: How many of them lay beyond the type's largest number and became that number.
        subnormal: How many were so small that digits were lost.
        zero: How many were so small that they became 0.
    """

    dtype: str
    numbers: int
    large: int
    subnormal: int
    zero: int


class ReadsSpec(Strict, frozen=True):
    """Bytes of weights that one launch reads, counted at export.

    Attributes:
        once: Of the weights that one node reads, or of each weight its first time.
        again: Of weights that were read before in this launch.
        shared: Of the weights that are read more than once, each counted once: what a cache would
            have to hold to make `again` cheap.
    """

    once: _Bytes
    again: _Bytes
    shared: _Bytes

    @property
    def total(self) -> int:
        """All reads, if nothing stays in a cache."""
        return self.once + self.again

    def repeated(self, times: int) -> "ReadsSpec":
        """Count so many launches in a row: nothing is new after the first."""
        return ReadsSpec(self.once, times * self.total - self.once, self.once)

    def __add__(self, other: "ReadsSpec") -> "ReadsSpec":
        return ReadsSpec(
            self.once + other.once, self.again + other.again, self.shared + other.shared
        )


class GraphSpec(Strict, frozen=True, omit_defaults=True):
    """An ONNX graph.

    Attributes:
        in_place: Past and present may be one buffer, proved at export.
        reads: What a launch reads of its weights.
        rounding: None where the graph computes in float32.
    """

    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    states: tuple[StateSpec, ...]
    in_place: bool
    reads: ReadsSpec
    rounding: RoundingSpec | None = None
