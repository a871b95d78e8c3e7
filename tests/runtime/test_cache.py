"""Where the cache folder is."""

from pathlib import Path

import pytest

from homeless import without_a_home
from qwen3_tts_edge.cache import VARIABLE, cache_folder
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.voices import library


def test_it_is_where_it_is_told_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "~/mine")
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "qwen3-tts-edge"


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("~$x", "here/~$x"),
        ("~nobody-of-that-name/c", "here/~nobody-of-that-name/c"),
        ("rel/", "here/rel"),
        (" a b ", "here/ a b "),
        ("", "caches/qwen3-tts-edge"),
        (" \t", "caches/qwen3-tts-edge"),
    ],
)
def test_a_name_is_taken_as_a_shell_would(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str, expected: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv(VARIABLE, named)
    assert cache_folder() == tmp_path / expected


@pytest.mark.parametrize("below", ["", "sub/deeper"])
def test_a_file_in_its_way_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, below: str
) -> None:
    file = tmp_path / "file"
    file.touch()
    for variable, folder in ((VARIABLE, cache_folder), (library.VARIABLE, library.folder)):
        monkeypatch.setenv(variable, str(file / below))
        with pytest.raises(InputError, match=f"file is no folder; remove it, or set {variable} to"):
            folder()


def test_who_has_no_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    without_a_home(monkeypatch)
    monkeypatch.setenv(VARIABLE, "~/cache")
    with pytest.raises(InputError, match=f"no home folder; give {VARIABLE} without a ~"):
        cache_folder()
    monkeypatch.delenv(VARIABLE)
    for variable in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InputError, match=f"no home folder; set {VARIABLE} to a folder"):
        cache_folder()
