"""Convert weights to a narrower type, and count what that costs."""

from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt
import torch

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.errors import CheckpointError


def numpy_type(name: str) -> np.dtype[np.generic]:
    """Find a numpy type by its name; bfloat16 too, which `ml_dtypes` brings."""
    return np.dtype(getattr(ml_dtypes, name, name))


@dataclass
class Rounding:
    """How many numbers of a graph's weights were rounded, and how many came to the type's ends.

    Attributes:
        numbers: All that were converted.
        large: Beyond the largest number of the type, but rounded to it. What is further beyond
            would be infinite, and is refused.
        subnormal: So small that digits were lost.
        zero: So small that nothing was left.
    """

    numbers: int = 0
    large: int = 0
    subnormal: int = 0
    zero: int = 0

    def convert(self, name: str, array: npt.NDArray[np.float32], dtype: str) -> Array:
        """Round an array to a type, and count.

        Raises:
            CheckpointError: A number would become infinite, or is not one; names the tensor.
        """
        if dtype == "float32":
            return array
        with np.errstate(over="ignore"):
            found = array.astype(numpy_type(dtype))
        ends, size = torch.finfo(getattr(torch, dtype)), np.abs(array)
        large = int((size > ends.max).sum())
        if not np.isfinite(found.astype(np.float32)).all():
            raise CheckpointError(
                f"{name} does not fit into {dtype}: {large} of its {array.size} numbers are beyond "
                f"{ends.max:g} (the largest is {float(np.nanmax(size)):g}) and "
                f"{int(np.isnan(size).sum())} are none",
                "take --precision bf16 or fp32",
            )
        rest = np.abs(found.astype(np.float32))
        self.numbers += array.size
        self.large += large
        self.subnormal += int(((rest < ends.smallest_normal) & (rest > 0)).sum())
        self.zero += int(((rest == 0) & (size > 0)).sum())
        return found
