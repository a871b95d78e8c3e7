"""A disk that is full at any write: one line that names the place, and nothing is left."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from faults import works
from faults.children import child, names
from faults.disks import small_disk
from faults.works import Work
from small_bundle import write_small_bundle

_PAGE, _LARGE = 4096, 1 << 28
SIZES = [1, pytest.param(50, marks=pytest.mark.slow)]


@pytest.mark.parametrize("sizes", SIZES)
def test_an_export(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path], traced_once: None, sizes: int
) -> None:
    _fill(works.export(tiny_checkpoint("base", "narrow"), tmp_path / "disk"), sizes)


@pytest.mark.parametrize("sizes", SIZES)
def test_a_voice(tmp_path: Path, tiny_bundle: Callable[..., Path], sizes: int) -> None:
    _fill(works.voice(tiny_bundle("base", "narrow"), tmp_path / "disk"), sizes)


@pytest.mark.parametrize("sizes", SIZES)
def test_engines(tmp_path: Path, sizes: int) -> None:
    pytest.importorskip("tensorrt_rtx")
    bundle = write_small_bundle(tmp_path / "bundle")
    _fill(works.engines(bundle, max_seconds=1), sizes)


@pytest.mark.parametrize("sizes", SIZES)
def test_a_random_checkpoint(tmp_path: Path, sizes: int) -> None:
    pytest.importorskip("torch")
    _fill(works.random_checkpoint(tmp_path / "disk"), sizes)


@pytest.mark.parametrize(
    "ending",
    [
        "flac",
        pytest.param("wav", marks=pytest.mark.slow),
        pytest.param("mp3", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("sizes", SIZES)
def test_speech(tmp_path: Path, voice_bundle: Path, ending: str, sizes: int) -> None:
    _fill(works.speech(voice_bundle, tmp_path / "disk", ending), sizes)


@pytest.mark.parametrize("sizes", SIZES)
def test_codes(tmp_path: Path, tiny_bundle: Callable[..., Path], sizes: int) -> None:
    _fill(works.codes(tiny_bundle("base", "narrow"), tmp_path / "disk"), sizes)


def _fill(work: Work, sizes: int) -> None:
    """Do the work on disks with too little room for it, and again when there is just enough."""
    chance = random.Random(13)
    with small_disk(work.folder, _LARGE):
        assert child(work.do).code == 0
        done = names(work.folder)
        files = [path for path in work.folder.rglob("*") if path.is_file()]
        pages = sum(-(-path.stat().st_size // _PAGE) for path in files)
    for _ in range(sizes):
        with small_disk(work.folder, pages * _PAGE):
            others = work.folder / "others"
            room = chance.randrange(pages)
            others.write_bytes(bytes((pages - room) * _PAGE))
            ended = child(lambda: _unaware(work))
            assert ended.code == 1, ended.said
            assert ended.said.splitlines()[-1] == (
                f"error: {work.folder / done[0]}: No space left on device; make room on its disk"
            )
            assert names(work.folder) == ["others"]
            others.unlink()
            assert child(lambda: _unaware(work)).code == 0
            assert names(work.folder) == done


def _unaware(work: Work) -> None:
    """The room that was there when it began is taken by somebody else."""
    shutil.disk_usage = lambda _: SimpleNamespace(free=1 << 40)
    work.do()
