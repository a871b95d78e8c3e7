"""A bundle appears whole or not at all, and the same checkpoint gives the same bytes."""

import shutil
import zlib
from collections import namedtuple
from pathlib import Path

import msgspec
import pytest

from qwen3_tts_edge.bundle.head import FILE
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.errors import InputError
from qwen3_tts_export.bundle import graph_files
from qwen3_tts_export.bundle.writing import write_bundle
from qwen3_tts_export.checkpoint.opening import Checkpoint
from tiny import EDGE_VOICE, EDGE_VOICE_BASE


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.open(EDGE_VOICE)


def stopped(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    """Let the export be stopped when it comes to the first graph."""

    def stop(*_: object, **__: object) -> None:
        raise error("stopped")

    monkeypatch.setattr(graph_files, "trace", stop)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_export_that_was_stopped_leaves_nothing(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type
) -> None:
    stopped(monkeypatch, error)
    with pytest.raises(error):
        write_bundle(checkpoint, tmp_path / "out", precision="int8")
    assert list(tmp_path.iterdir()) == []


def test_it_is_written_aside_until_it_is_complete(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def report(_: str, __: float) -> None:
        seen.append(sorted(path.name for path in tmp_path.iterdir()))

    stopped(monkeypatch, RuntimeError)
    with pytest.raises(RuntimeError):
        write_bundle(checkpoint, tmp_path / "out", precision="int8", report=report)
    assert seen
    assert all(names == ["out.part", "out.part.lock"] for names in seen)


def test_the_same_checkpoint_gives_the_same_bytes(
    checkpoint: Checkpoint, voice_bundle: Path, tmp_path: Path, traced_once: None
) -> None:
    """The bundle in models/ once more, over what an export that was killed left behind.

    If this fails because graphs are written otherwise now, export the one in models/ again.
    """
    stale = tmp_path / "deeper" / "out.part"
    stale.mkdir(parents=True)
    (stale / "frame.onnx").write_bytes(b"half")
    (stale / "of_another_version.bin").write_bytes(b"old")
    seen: list[tuple[str, float]] = []
    folder = write_bundle(
        checkpoint,
        tmp_path / "deeper" / "out",
        precision="int8",
        report=lambda what, share: seen.append((what, share)),
        finish=lambda _, report: [report("finishing", share) for share in (0.0, 1.0)],
    )
    assert folder == tmp_path / "deeper" / "out"
    assert [path.name for path in folder.parent.iterdir()] == ["out"]
    again, ready = (Manifest.load(each) for each in (folder, voice_bundle))
    again.verify(folder)
    assert sorted([*again.files, FILE]) == sorted(path.name for path in folder.iterdir())
    assert again.files == ready.files
    versions = {"made_with": {}}
    assert msgspec.structs.replace(again, **versions) == msgspec.structs.replace(ready, **versions)
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert (shares[0], seen[-1]) == (0.0, ("done", 1.0))
    assert ("finishing", 1.0) in seen


def test_the_voice_that_comes_along_is_small() -> None:
    """Its checkpoints and its bundle are in the repository: compressed, and what is equal once."""
    files = [*EDGE_VOICE.rglob("*"), *EDGE_VOICE_BASE.glob("*"), *EDGE_VOICE_BASE.glob("speech*/*")]
    stored = {path.read_bytes() for path in files if path.is_file()}
    assert sum(len(zlib.compress(each)) for each in stored) <= 45e6


def test_nothing_in_a_bundle_names_this_machine(voice_bundle: Path) -> None:
    for path in voice_bundle.iterdir():
        if path.suffix in {".onnx", ".json"}:
            content = path.read_bytes()
            assert str(Path.home()).encode() + b"/" not in content
            assert str(EDGE_VOICE.parent.parent).encode() not in content


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_there_already_is_left_alone(
    checkpoint: Checkpoint, tmp_path: Path, kind: str
) -> None:
    there = tmp_path / "out"
    if kind == "folder":
        there.mkdir()
        (there / "mine").touch()
    else:
        there.touch()
    message = "out already exists; remove it or choose another place"
    with pytest.raises(InputError, match=message):
        write_bundle(checkpoint, there, precision="int8")
    assert [path.name for path in tmp_path.rglob("*")] in (["out", "mine"], ["out"])


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_disk_that_is_too_small(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """Found before anything is written, in the nearest folder that exists."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10**6))
    message = r"has 0\.0 GB free and out may need 0\.\d GB; make room or choose another place"
    with pytest.raises(InputError, match=message):
        write_bundle(checkpoint, tmp_path / "not" / "yet" / "out", precision=precision)
    assert list(tmp_path.iterdir()) == []
