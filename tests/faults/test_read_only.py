"""Where nothing can be written: what is there is used, and else one line names the place."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from faults import works
from faults.children import child, names
from faults.disks import only_read
from qwen3_tts_edge.cache import VARIABLE
from qwen3_tts_edge.compat import Qwen3TTSModel, opening
from small_bundle import write_small_bundle
from traces import command_at


def test_works_are_refused_at_once(
    tmp_path: Path,
    tiny_checkpoint: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
    voice_bundle: Path,
) -> None:
    disk, base = tmp_path / "disk", tiny_bundle("base", "narrow")
    small = write_small_bundle(tmp_path / "small")
    found = {
        disk / "bundle": works.export(tiny_checkpoint("base", "narrow"), disk),
        disk / "random": works.random_checkpoint(disk),
        disk / "anna.safetensors": works.voice(base, disk),
        disk / "a.codes": works.codes(base, disk),
        disk / "a.wav": works.speech(voice_bundle, disk, "wav"),
        small / "engines": works.engines(small, max_seconds=1),
    }
    with only_read(disk), only_read(small):
        for place, work in found.items():
            ended = child(work.do)
            assert ended.code == 1
            assert ended.said.splitlines()[-1] == (
                f"error: {place}: Read-only file system; choose another place"
            )
    assert names(disk) == []


def test_a_model_in_a_cache_that_is_only_read(
    tmp_path: Path,
    tiny_checkpoint: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    checkpoint = tiny_checkpoint("custom_voice", "same")
    kind = f"{opening._fingerprint(checkpoint)[:16]}-fp32"
    made = tmp_path / "cache" / "bundles" / f"{checkpoint.name}-{kind}"
    shutil.copytree(tiny_bundle("custom_voice", "same"), made)
    with only_read(tmp_path / "cache"):
        ended = child(partial(_open, checkpoint))
        assert ended.code == 0, ended.said


@pytest.mark.slow
def test_a_model_that_is_exported_into_a_cache_that_was_only_read(
    tmp_path: Path,
    tiny_checkpoint: Callable[..., Path],
    traced_once: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    command = command_at(tmp_path / "qwen3-tts-export")
    monkeypatch.setenv(VARIABLE, str(cache))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: str(command))
    open_it = partial(_open, tiny_checkpoint("custom_voice", "same"))
    with only_read(cache):
        refused = child(open_it).said.splitlines()[-1]
        assert f" could not be exported: {cache}/bundles/tiny-" in refused
        assert refused.endswith("-fp32: Read-only file system; choose another place")
    assert child(open_it).code == 0
    with only_read(cache):
        assert child(open_it).code == 0


def _open(checkpoint: Path) -> None:
    Qwen3TTSModel.from_pretrained(checkpoint, dtype="float32", threads=1)
