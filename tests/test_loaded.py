"""Which graphs are loaded once, and which anew."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faults.children import child
from loaded import loaded_once
from qwen3_tts_edge.backends.ort.session import session_options
from qwen3_tts_edge.bundle.manifest import FRAME

GRAPH = f"{FRAME}.onnx"
Loaded = Callable[..., Any]


@pytest.fixture
def load(voice_bundle: Path) -> Loaded:
    """`loaded_once` of what gives another object each time."""
    once = loaded_once(lambda *_: object(), voice_bundle)
    return lambda folder, threads=1, **asked: once(folder / GRAPH, options(threads, **asked), "CPU")


def options(threads: int, **asked: Any) -> Any:
    found = session_options(threads)
    for name, value in asked.items():
        setattr(found, name, value)
    return found


def test_what_nobody_changes_is_loaded_once_for_all_who_ask_alike(
    load: Loaded, voice_bundle: Path
) -> None:
    first = load(voice_bundle)
    assert load(voice_bundle) is first
    assert load(voice_bundle, threads=2) is not first
    assert load(voice_bundle, enable_mem_pattern=False) is not first
    assert load(voice_bundle, enable_profiling=True) is not load(
        voice_bundle, enable_profiling=True
    )


def test_a_copy_a_child_and_a_stand_in_are_loaded_anew(
    load: Loaded, voice_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(voice_bundle, tmp_path / "copy")
    assert load(copy) is not load(copy)
    first = load(voice_bundle)

    def anew() -> None:
        assert load(voice_bundle) is not first

    assert child(anew).code == 0
    monkeypatch.setattr("onnxruntime.InferenceSession", object)
    assert load(voice_bundle) is not first
