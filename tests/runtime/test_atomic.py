"""Files and folders appear whole or not at all, whoever else writes them and whoever is killed."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from qwen3_tts_edge.atomic import whole_folder_or_nothing, whole_or_nothing
from qwen3_tts_edge.codec.code_file import CodeFile
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.voices.voice import Voice

Writer = Callable[[Path], AbstractContextManager[Path]]
WRITERS = (whole_or_nothing, whole_folder_or_nothing)
OTHER = """
import sys
from pathlib import Path
from qwen3_tts_edge import atomic

with getattr(atomic, sys.argv[1])(Path(sys.argv[2])) as part:
    (part / "a" if part.is_dir() else part).write_text("of the other")
    print("half", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(writer: Writer, place: Path) -> Iterator[subprocess.Popen[str]]:
    """It writes until its stdin ends."""
    arguments = [sys.executable, "-c", OTHER, writer.__name__, str(place)]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        yield process


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("writer", WRITERS)
def test_what_a_killed_process_left_is_gone_with_the_next(tmp_path: Path, writer: Writer) -> None:
    place = tmp_path / "out"
    with another_process(writer, place) as process:
        process.kill()
    assert "out.part" in names(tmp_path)
    assert not place.exists()
    with writer(place) as part:
        if part.is_dir():
            assert names(part) == []
            (part / "b").touch()
        else:
            assert not part.exists()
            part.touch()
    assert names(tmp_path) == (["out", "out/b"] if place.is_dir() else ["out"])


def test_a_file_that_is_removed_while_it_is_looked_at_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, exists = tmp_path / "out", Path.exists
    place.touch()

    def removed_meanwhile(path: Path) -> bool:
        found = exists(path)
        if path == place:
            path.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Path, "exists", removed_meanwhile)
    with whole_or_nothing(place) as part:
        part.write_text("new")
    assert place.read_text() == "new"


def test_two_who_write_the_same_file_take_turns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, found, waits = tmp_path / "out", [], threading.Event()
    caplog.set_level(logging.WARNING)
    caplog.handler.addFilter(lambda _: waits.set() or True)

    def write() -> None:
        with whole_or_nothing(place) as part:
            found.append(place.read_text())
            part.write_text("of this one")

    with another_process(whole_or_nothing, place) as process:
        thread = threading.Thread(target=write)
        thread.start()
        assert waits.wait(60)
        assert "another process is writing" in caplog.text
        assert not found
        process.communicate()  # its end
    thread.join(60)
    assert found == ["of the other"]
    assert place.read_text() == "of this one"
    assert names(tmp_path) == ["out"]


def test_whoever_waited_for_a_folder_finds_it_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out"
    with another_process(whole_folder_or_nothing, place) as process:
        # The other ends while this one waits for the first time.
        monkeypatch.setattr("time.sleep", lambda _: process.communicate())
        with pytest.raises(InputError, match="out already exists; remove it or choose another"):
            whole_folder_or_nothing(place).__enter__()
    assert (place / "a").read_text() == "of the other"
    assert names(tmp_path) == ["out", "out/a"]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", ["x" * 255, "小" * 83 + ".wav"])
def test_the_longest_name_that_a_file_may_have(tmp_path: Path, writer: Writer, name: str) -> None:
    with writer(tmp_path / name) as part:
        if not part.is_dir():
            part.touch()
    assert names(tmp_path) == [name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for load in (Voice.load, CodeFile.load):
        with pytest.raises(InputError, match=r"pipe is a pipe or a device, a .* is read"):
            load(tmp_path / "pipe")


def test_a_folder_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    (place / "old").touch()
    with pytest.raises(InputError, match="out already exists"):
        whole_folder_or_nothing(place).__enter__()
    with whole_folder_or_nothing(place, replace=True) as part:
        (part / "new").touch()
        assert names(place) == ["old"]
    assert names(tmp_path) == ["out", "out/new"]


def test_an_error_leaves_no_folder_that_was_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder_or_nothing(tmp_path / "a" / "b" / "out"):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out"
    place.mkdir()
    (place / "old").touch()
    rename = Path.rename

    def refuse(path: Path, to: Path) -> Path:
        if path.name == "out.part":
            raise OSError("not now")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="not now"), whole_folder_or_nothing(place, replace=True):
        pass
    assert names(tmp_path) == ["out", "out/old"]
