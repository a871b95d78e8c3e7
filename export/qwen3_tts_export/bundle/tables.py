"""Write the embedding tables of a bundle, whose rows the host looks up by id or code."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from qwen3_tts_edge.bundle import manifest as door
from qwen3_tts_edge.bundle.names import BASE
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.modules.talker import text_rows
from qwen3_tts_export.precision.rounding import Rounding

_ROWS_AT_ONCE = 4096


def write_tables(checkpoint: Checkpoint, part: Path, text_ids: int, dtype: str) -> None:
    """Write the tables that a checkpoint's prompts are made from.

    Args:
        checkpoint: Where the rows come from.
        part: The folder they go to.
        text_ids: How many ids the tokenizer can make.
        dtype: NumPy's name of what they are stored in.

    Raises:
        CheckpointError: A number does not fit into `dtype`.
    """
    _write_text_rows(checkpoint, part / door.TEXT_ROWS, text_ids, dtype)
    name = "talker.model.codec_embedding.weight"
    codec_rows = checkpoint.talker[name].float().numpy()
    with _table(part / door.CODEC_ROWS, dtype, codec_rows.shape) as append:
        append(Rounding().convert(name, codec_rows, dtype))
    if checkpoint.config.tts_model_type == BASE:
        _write_predictor_rows(checkpoint, part / door.PREDICTOR_ROWS, dtype)


def _write_text_rows(checkpoint: Checkpoint, path: Path, count: int, dtype: str) -> None:
    """Write one row for every id that the tokenizer makes; the checkpoint's table is padded."""
    shape = (count, checkpoint.config.talker.hidden_size)
    with _table(path, dtype, shape) as append:
        for start in range(0, count, _ROWS_AT_ONCE):
            ids = torch.arange(start, min(count, start + _ROWS_AT_ONCE))
            rows = text_rows(checkpoint.talker, ids).numpy()
            append(Rounding().convert("the text table", rows, dtype))


def _write_predictor_rows(checkpoint: Checkpoint, path: Path, dtype: str) -> None:
    """Write the tables of codebooks 1 and up, as wide as the talker's rows they are added to."""
    config = checkpoint.config
    shape = (
        config.talker.num_codebooks - 1,
        config.predictor.vocab_size,
        config.talker.hidden_size,
    )
    with _table(path, dtype, shape) as append:
        for book in range(shape[0]):
            name = f"talker.code_predictor.model.codec_embedding.{book}.weight"
            rows = checkpoint.talker[name].float().numpy()
            append(Rounding().convert(name, rows, dtype))


@contextmanager
def _table(
    path: Path, dtype: str, shape: tuple[int, ...]
) -> Iterator[Callable[[npt.NDArray[Any]], int]]:
    """Give what appends to a table. Neither a mapping nor NumPy says well that a disk is full."""
    with path.open("wb") as file:
        kind = np.lib.format.dtype_to_descr(np.dtype(dtype))
        header = {"descr": kind, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield lambda rows: file.write(rows.view(np.uint8).data)
