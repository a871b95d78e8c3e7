"""Arrays that pass from room to room, said once."""

from typing import TypeGuard

import numpy as np
import numpy.typing as npt

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
    return hasattr(value, "__index__") and not isinstance(value, bool | np.bool_)
