"""A user who has no home folder."""

from pathlib import Path

import pytest


def without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody have a home folder."""
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    if accessor := getattr(Path, "_accessor", None):  # Python 3.10 has its own way there
        monkeypatch.setattr(accessor, "expanduser", lambda path: path)
