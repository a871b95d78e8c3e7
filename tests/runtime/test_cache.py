"""Where the cache folder is."""

from pathlib import Path

import pytest

from qwen3_tts_edge.cache import VARIABLE, cache_folder
from qwen3_tts_edge.errors import InputError


def test_it_is_where_it_is_told_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "~/mine")
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "qwen3-tts-edge"


def test_who_has_no_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "~nobody-of-that-name/cache")
    with pytest.raises(InputError, match=f"no home folder; set {VARIABLE} to a folder"):
        cache_folder()
