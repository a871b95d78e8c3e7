"""Room on a disk, looked for before anything is written."""

import shutil
from pathlib import Path

from qwen3_tts_edge.errors import InputError


def check_space(folder: Path, nbytes: int) -> None:
    """Refuse to begin a folder that may not fit.

    Args:
        folder: To be written; neither it nor those above it need exist.
        nbytes: What it may take.

    Raises:
        InputError: Its disk has less.
    """
    parent = next(each for each in folder.absolute().parents if each.exists())
    free = shutil.disk_usage(parent).free
    if free < nbytes:
        raise InputError(
            f"{parent} has {free / 1e9:.1f} GB free and {folder.name} may need "
            f"{nbytes / 1e9:.1f} GB",
            "make room or choose another place",
        )
