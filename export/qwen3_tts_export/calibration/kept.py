"""What is done so far, beside what it is for: each file whole or not there."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from qwen3_tts_edge.atomic import whole_or_nothing

KEY = 16
"""Letters of a folder's name, in hexadecimal: it says what is calibrated, and by what."""


def forget(aside: Path) -> None:
    """Remove what was kept in a folder, and the folder unless there is something else in it."""
    for folder in aside.glob("[0-9a-f]" * KEY):
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        aside.rmdir()


class Kept:
    """A folder of tensors that are made once, and of how far what makes them is.

    Attributes:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def get(self, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Give what `make` makes: from the file of that name, if an earlier run came so far.

        Raises:
            OSError: It cannot be written.
        """
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            made = {key: tensor.cpu().contiguous() for key, tensor in make().items()}
            with whole_or_nothing(path) as part:
                save_file(made, part)
        return load_file(path)

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Keep how far something is, in the place of how far it was.

        Raises:
            OSError: It cannot be written.
        """
        with whole_or_nothing(self._state(name)) as part:
            torch.save(state, part)

    def saved(self, name: str) -> dict[str, Any] | None:
        """Give how far an earlier run came with something; None if it did not begin.

        Its tensors are on the CPU, as those of `get`: that run may have had a GPU.
        """
        path = self._state(name)
        return torch.load(path, "cpu", weights_only=True) if path.is_file() else None

    def _state(self, name: str) -> Path:
        return self.folder / f"{name}.pt"
