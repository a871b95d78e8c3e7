"""Fixtures of the export's tests."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def released_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the text tokenizer of random checkpoints: made up, of the real size."""
    pytest.importorskip("torch")
    from released import write_tokenizer

    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture
def copy(tmp_path: Path, tiny_checkpoint: Callable[..., Path]) -> Path:
    """Give a checkpoint that a test may damage."""
    return Path(shutil.copytree(tiny_checkpoint("base", "narrow"), tmp_path / "copy"))
