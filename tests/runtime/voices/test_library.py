"""Where voices are kept, and under which names."""

from pathlib import Path

import pytest

from anna import profile
from qwen3_tts_edge import InputError
from qwen3_tts_edge.voices import library


def test_the_library_keeps_voices_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "deep" / "voices"
    monkeypatch.setenv(library.VARIABLE, str(folder))
    assert library.names() == []
    with pytest.raises(InputError, match=r"no voice 'anna' in .*; there are: none yet"):
        library.find("anna")
    for name in ("anna", "Jörg", "b-2.old"):
        profile().save(library.place_for(name, replace=False))
    (folder / "notes.txt").touch()
    (folder / ".safetensors").touch()
    assert library.names() == ["Jörg", "anna", "b-2.old"]
    assert library.find("anna") == folder / "anna.safetensors"
    with pytest.raises(InputError, match="there is a voice 'anna' already"):
        library.place_for("anna", replace=False)
    assert library.place_for("anna", replace=True) == library.find("anna")


def test_a_name_in_any_script_and_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vowels of Hindi are marks; and a file of a Mac spells an accent as one."""
    monkeypatch.setenv(library.VARIABLE, str(tmp_path))
    for name in ("हिन्दी", "ภาษาไทย", "Jose\u0301"):
        profile().save(library.place_for(name, replace=False))
    assert library.find("हिन्दी").name == "हिन्दी.safetensors"
    assert library.find("JOS\u00c9") == tmp_path / "Jose\u0301.safetensors"
    with pytest.raises(InputError, match="there is a voice 'Jose\u0301' already"):
        library.place_for("Jos\u00e9", replace=False)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "-a", "a b", "x" * 65, "a\n", "\u0301a"]
)
def test_a_name_that_could_be_no_file(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a voice; use up to 64 letters"):
        library.path_of(name)


def test_where_voices_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(library.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert library.folder() == tmp_path / "data" / "qwen3-tts-edge" / "voices"
    for invalid in ("", "relative/place"):
        monkeypatch.setenv("XDG_DATA_HOME", invalid)
        assert library.folder() == tmp_path / ".local" / "share" / "qwen3-tts-edge" / "voices"
    monkeypatch.setenv(library.VARIABLE, "~/mine")
    assert library.folder() == tmp_path / "mine"
