"""Arrays that pass from room to room, said once."""

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

Rows = npt.NDArray[np.float32]
"""float32 (n, hidden)."""
