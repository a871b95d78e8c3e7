"""Fixtures of the export's tests."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def released_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the text tokenizer of random checkpoints: made up, of the real size."""
    pytest.importorskip("torch")
    from released import write_tokenizer

    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
