"""The matrices that are calibrated, as whoever writes a graph asks for them."""

import numpy as np
import numpy.typing as npt
from torch import Tensor

from qwen3_tts_edge.arrays import Array
from qwen3_tts_export.precision.blocks import Matrix, nearest


class Calibrated:
    """A `Rounder` that has the numbers of some matrices; others it rounds to the nearest."""

    def __init__(self, matrices: dict[str, Tensor]) -> None:
        self._matrices = matrices

    def __call__(self, matrix: Matrix) -> tuple[npt.NDArray[np.int8], Array]:
        """Round one, see `Rounder`."""
        if f"{matrix.name}.numbers" not in self._matrices:
            return nearest(matrix)
        scales = matrix.stored(self._matrices[f"{matrix.name}.scales"].numpy())
        return self._matrices[f"{matrix.name}.numbers"].numpy(), scales
