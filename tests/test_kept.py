"""What is kept is whole, and of these sources; a trace is of this very network."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

import kept
from tiny import EDGE_VOICE


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kept, "ROOT", tmp_path)
    monkeypatch.setattr(kept, "CACHE", tmp_path / "cache")
    (tmp_path / "source.py").write_text("one")
    return tmp_path / "source.py"


def write(text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        folder.mkdir()
        (folder / "file").write_text(text)

    return make


def test_it_is_made_once_until_a_source_changes(source: Path) -> None:
    for text in ("first", "second"):
        folder = kept.Kept("things", ["*.py"]).get("thing", write(text))
        assert (folder / "file").read_text() == "first"
    source.write_text("two")
    folder = kept.Kept("things", ["*.py"]).get("thing", write("third"))
    assert (folder / "file").read_text() == "third"


def test_what_was_not_finished_is_not_there(source: Path) -> None:
    def stop(folder: Path) -> None:
        write("half")(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.Kept("things", ["*.py"]).get("thing", stop)
    folder = kept.Kept("things", ["*.py"]).get("thing", write("whole"))
    assert (folder / "file").read_text() == "whole"


def test_what_older_sources_made_goes_unless_somebody_uses_it(source: Path) -> None:
    old = kept.Kept("things", ["*.py"]).folder
    other = kept.Kept("others", ["*.py"]).folder
    (old / "thing").touch()
    source.write_text("two")
    kept.Kept("things", ["*.py"])
    assert old.exists()  # this process does
    for stamp in old.glob(".[0-9]*"):
        stamp.unlink()
    kept.Kept("things", ["*.py"])
    assert not old.exists()
    assert other.exists()


def test_another_setting_is_another_trace() -> None:
    nn = pytest.importorskip("torch").nn
    from qwen3_tts_export.checkpoint.opening import Checkpoint
    from qwen3_tts_export.graphs.declared import Graph, codec_decoder_graph, frame_graph
    from qwen3_tts_export.graphs.typed import typed
    from qwen3_tts_export.precision.policy import find_precision
    from traces import key_of

    checkpoint = Checkpoint.open(EDGE_VOICE)
    config = checkpoint.config
    fp32, int8 = (find_precision(name, "ort") for name in ("fp32", "int8"))
    frame = frame_graph(config, checkpoint.talker, config.talker.max_positions)
    decoder = codec_decoder_graph(config.codec, checkpoint.codec)

    def changed(module: str, name: str, value: object) -> Graph:
        def network() -> nn.Module:
            whole = frame.network()
            assert hasattr(whole.get_submodule(module), name)
            setattr(whole.get_submodule(module), name, value)
            return whole

        return dataclasses.replace(frame, network=network)

    graphs = [
        (frame, "ort"),
        (frame, "cuda"),
        (changed("", "end_of_speech", 7), "ort"),
        (changed("talker.trunk.norm", "eps", 1e-3), "ort"),
        (dataclasses.replace(frame, outputs=()), "ort"),
        (typed(frame, find_precision("fp16", "cuda")), "cuda"),
        (decoder, "ort"),
        (decoder, "trt"),
        (decoder, "compat"),
    ]
    keys = [key_of(*each) for each in graphs]
    assert len({*keys}) == len(keys)
    assert keys == [key_of(*each) for each in graphs]
    exact, rounded = (key_of(typed(decoder, each), "ort") for each in (fp32, int8))
    assert exact == rounded
