"""How a bundle is opened: what is read, in which order, and by whom."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from qwen3_tts_edge import Synthesizer, synthesizer
from qwen3_tts_edge.backends.ort.cpu import OrtBackend
from qwen3_tts_edge.backends.ort.graph import OrtGraph
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.bundle.manifest import TOKENIZER
from qwen3_tts_edge.bundle.tokenizer import Tokenizer
from qwen3_tts_edge.cli import commands
from qwen3_tts_edge.errors import BundleError

TEXT = "Set a timer for ten minutes."


class Watched(OrtBackend):
    """Calls `at` with a graph's file before it opens the graph."""

    at: Callable[[str], object]

    def open(self, folder: Path, spec: GraphSpec) -> OrtGraph:
        self.at(spec.file)
        return super().open(folder, spec)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched()
    monkeypatch.setattr(synthesizer, "open_backend", lambda *_, **__: watched)
    return watched


def test_graphs_are_opened_side_by_side(voice_bundle: Path, backend: Watched) -> None:
    """Neither is opened before the other is begun, and they speak as those opened in turns."""
    begun = threading.Barrier(2, timeout=30)
    backend.at = lambda _: begun.wait()
    beside = Synthesizer.open(voice_bundle)
    backend.at, backend.side_by_side = str, False
    in_turns = Synthesizer.open(voice_bundle)
    one, other = (tts.speak(TEXT, seed=3).samples for tts in (beside, in_turns))
    assert np.array_equal(one, other)


def test_graphs_of_a_backend_that_cannot_are_opened_in_turns(
    voice_bundle: Path, backend: Watched
) -> None:
    opened: list[tuple[str, threading.Thread]] = []
    backend.side_by_side = False
    backend.at = lambda file: opened.append((file, threading.current_thread()))
    Synthesizer.open(voice_bundle)
    here = threading.current_thread()
    assert opened == [("frame.onnx", here), ("codec_decoder.onnx", here)]


@pytest.mark.parametrize("names", [["codec_decoder"], ["frame"], ["frame", "codec_decoder"]])
def test_a_graph_that_cannot_be_opened(
    voice_bundle: Path, tmp_path: Path, names: list[str]
) -> None:
    bundle = shutil.copytree(voice_bundle, tmp_path / "bundle")
    for name in names:
        (bundle / f"{name}.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=rf"{names[-1]}\.onnx cannot be loaded by ONNX Runtime"):
        Synthesizer.open(bundle, verify=False)


def test_a_tokenizer_that_cannot_be_read(voice_bundle: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(voice_bundle, tmp_path / "bundle")
    (bundle / TOKENIZER).write_bytes(b'{"a": "\xff"}')
    with pytest.raises(BundleError, match=r"tokenizer\.json is not a tokenizer"):
        Synthesizer.open(bundle, verify=False)


def test_a_bundle_that_is_open_already(voice_bundle: Path) -> None:
    opened = Bundle.open(voice_bundle)
    tokenizer = opened.tokenizer
    found = Synthesizer.open(opened)
    assert found.bundle is opened
    assert found.bundle.tokenizer is tokenizer


def test_speak_reads_a_bundle_once(
    voice_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tokenizer alone is needed before graphs are loaded: the text is looked at first."""
    read: list[str] = []
    load = Tokenizer.load

    def loaded(path: Path) -> Tokenizer:
        read.append(path.name)
        return load(path)

    monkeypatch.setattr(Tokenizer, "load", loaded)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(commands, ["speak", TEXT, "--model", str(voice_bundle)])
    assert done.exit_code == 0, done.output
    assert read == [TOKENIZER]
