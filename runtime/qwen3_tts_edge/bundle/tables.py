"""The embedding tables of a bundle: what text ids and codes add to the rows the talker reads."""

from functools import cached_property
from pathlib import Path

import numpy as np

from qwen3_tts_edge.arrays import Array, Codes, Rows
from qwen3_tts_edge.bundle.manifest import CODEC_ROWS, PREDICTOR_ROWS, TEXT_ROWS
from qwen3_tts_edge.errors import BundleError


class Tables:
    """Tables mapped from disk; only the rows that are looked up come into memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._text_table = _table(folder / TEXT_ROWS)
        self._codec_table = _table(folder / CODEC_ROWS)

    def text(self, *ids: int) -> Rows:
        """Look up a row for each text id; the text projection is already in it."""
        return self._text_table[list(ids)].astype(np.float32)

    def codec(self, *codes: int) -> Rows:
        """Look up a row for each codebook-0 code; control codes and speakers are among them."""
        return self._codec_table[list(codes)].astype(np.float32)

    def frames(self, codes: Codes) -> Rows:
        """Add up the rows of each frame's codes: one row a frame."""
        rows = self._codec_table[codes[:, 0]].astype(np.float32)
        for codebook, table in enumerate(self._predictor_tables, start=1):
            rows += table[codes[:, codebook]]
        return rows

    @cached_property
    def _predictor_tables(self) -> Array:
        return _table(self._folder / PREDICTOR_ROWS)


def _table(path: Path) -> Array:
    try:
        table: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read ({error})", "export the bundle again") from error
    return table
