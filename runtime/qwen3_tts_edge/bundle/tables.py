"""The embedding tables of a bundle: what text ids and codes add to the rows the talker reads."""

from functools import cached_property
from pathlib import Path

import numpy as np

from qwen3_tts_edge.arrays import Array, Codes, Rows
from qwen3_tts_edge.bundle.manifest import CODEC_ROWS, PREDICTOR_ROWS, TEXT_ROWS, Manifest
from qwen3_tts_edge.errors import BundleError, reason

_AGAIN = "export the bundle again"


class Tables:
    """Tables mapped from disk; only the rows that are looked up come into memory."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Map the tables that every prompt is made from.

        Args:
            folder: Of the bundle.
            manifest: Of the bundle.

        Raises:
            BundleError: One cannot be read, or has another shape than the manifest says.
        """
        self._folder = folder
        self._manifest = manifest
        self._text_table = self._table(TEXT_ROWS, None)
        self._codec_table = self._table(CODEC_ROWS, manifest.vocab_size)

    def text(self, *ids: int) -> Rows:
        """Look up a row for each text id; the text projection is already in it.

        Raises:
            BundleError: The tokenizer has made an id that there is no row for.
        """
        if (most := max(ids, default=0)) >= len(self._text_table):
            raise BundleError(
                f"{self._folder / TEXT_ROWS} has {len(self._text_table)} rows, none for id {most}",
                _AGAIN,
            )
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
        books = self._manifest.codebooks - 1
        return self._table(PREDICTOR_ROWS, books, self._manifest.codebook_size)

    def _table(self, name: str, *rows: int | None) -> Array:
        """Map a table of so many rows; None is any number."""
        path = self._manifest.place(self._folder, name)
        try:
            # A view, for what a memmap does in Python at each row takes longer than the row.
            table: Array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        except Exception as error:  # those of Python's own tokenizer among them
            raise BundleError(f"{path} cannot be read ({reason(error)})", _AGAIN) from error
        expected = (*rows, self._manifest.hidden_size)
        sizes = [size for size in expected if size is not None]
        if table.ndim != len(expected) or list(table.shape[-len(sizes) :]) != sizes:
            raise BundleError(
                f"{path} is {table.shape}; expected {sizes} at the end of {len(expected)} axes",
                _AGAIN,
            )
        if table.dtype not in (np.float16, np.float32):
            raise BundleError(f"{path} is {table.dtype}; expected float16 or float32", _AGAIN)
        return table
