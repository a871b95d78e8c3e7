"""The embedding tables of a bundle: what text ids and codes add to the rows the talker reads."""

from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.arrays import Codes, Rows
from qwen3_tts_edge.bundle.manifest import CODEC_ROWS, PREDICTOR_ROWS, TEXT_ROWS
from qwen3_tts_edge.errors import BundleError


class Tables:
    """Tables mapped from disk; only the rows that are looked up come into memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._text_table = _table(folder / TEXT_ROWS)
        self._codec_table = _table(folder / CODEC_ROWS)

    def text(self, *ids: int) -> Rows:
        """One row a text id, the text projection already in it."""
        return self._text_table[list(ids)].astype(np.float32)

    def codec(self, *codes: int) -> Rows:
        """One row a codebook-0 code, control codes and speakers among them."""
        return self._codec_table[list(codes)].astype(np.float32)

    def frames(self, codes: Codes) -> Rows:
        """One row a frame, int64 (frames, codebooks): the sum over its codebooks."""
        rows = self._codec_table[codes[:, 0]].astype(np.float32)
        for codebook, table in enumerate(self._predictor_tables, start=1):
            rows += table[codes[:, codebook]]
        return rows

    @cached_property
    def _predictor_tables(self) -> npt.NDArray[np.floating]:
        return _table(self._folder / PREDICTOR_ROWS)


def _table(path: Path) -> npt.NDArray[np.floating]:
    try:
        table: npt.NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read ({error})", "export the bundle again") from error
    return table
