"""Two processes that make the same thing at once make it once."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faults import works
from faults.children import names, together
from faults.works import Work
from qwen3_tts_edge.voices.listener import Listener
from small_bundle import write_small_bundle


def test_an_export(
    tmp_path: Path,
    tiny_checkpoint: Callable[..., Path],
    traced_once: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from qwen3_tts_export.bundle import writing

    count = _counted(monkeypatch, writing, "write_graphs", tmp_path / "count")
    work = works.export(tiny_checkpoint("custom_voice", "same"), tmp_path / "out")
    second = _twice(work)
    assert (
        second
        == f"error: {work.folder / 'bundle'} already exists; remove it or choose another place"
    )
    assert count() == 1


def test_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx")
    from qwen3_tts_export.engines import building

    count = _counted(monkeypatch, building, "build_plan", tmp_path / "count")
    work = works.engines(write_small_bundle(tmp_path / "bundle"), max_seconds=1)
    assert "1 plans" in _twice(work, code=0)
    assert count() == 1


def test_a_voice(
    tmp_path: Path, tiny_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = _counted(monkeypatch, Listener, "voice", tmp_path / "count")
    second = _twice(works.voice(tiny_bundle("base", "narrow"), tmp_path / "voices"))
    assert second.startswith("error: there is a voice 'anna' already; choose another name")
    assert count() == 1


def _counted(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, count: Path
) -> Callable[[], int]:
    """Count the calls of a function, in all processes."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        with count.open("a") as file:
            file.write("1")
        return function(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return lambda: len(count.read_text())


def _twice(work: Work, code: int = 2) -> str:
    """Do it in two processes at once; give the last line of the one that came second."""
    ended = sorted(together(work.do, work.do), key=lambda each: each.code)
    assert [each.code for each in ended] == [0, code], ended
    assert sum("waiting: another process is writing" in each.said for each in ended) == 1
    (made,) = work.visible()
    work.check(made)
    assert not [name for name in names(work.folder) if name.endswith((".part", ".lock"))]
    return ended[1].said.splitlines()[-1]
