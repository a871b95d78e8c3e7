"""The matrices that are calibrated, as whoever writes a graph asks for them."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from qwen3_tts_edge.arrays import Array
from qwen3_tts_export.precision.blocks import Floats, nearest


class Calibrated:
    """A `Rounder` that has the numbers of some matrices; others it rounds to the nearest."""

    def __init__(self, matrices: dict[str, Tensor]) -> None:
        self._matrices = matrices

    def __call__(
        self,
        name: str,
        weight: Floats,
        bits: int,
        block: int,
        stored: Callable[[Floats], Array],
    ) -> tuple[npt.NDArray[np.int8], Array]:
        """Round one, see `Rounder`."""
        if f"{name}.numbers" not in self._matrices:
            return nearest(name, weight, bits, block, stored)
        scales = stored(self._matrices[f"{name}.scales"].numpy())
        return self._matrices[f"{name}.numbers"].numpy(), scales
