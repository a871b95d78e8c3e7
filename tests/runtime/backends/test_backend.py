"""A backend is the one that was asked for, or an error says so."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from at_a_shell import PROGRAM
from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.backends import BACKENDS, open_backend
from qwen3_tts_edge.backends.ort.session import load, session_options
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, FRAME, Manifest
from qwen3_tts_edge.errors import BackendError, BundleError


def test_an_unknown_backend(voice_bundle: Path) -> None:
    message = f"backend 'abacus' is unknown; choose one of {', '.join(BACKENDS)}"
    with pytest.raises(BackendError, match=message):
        Synthesizer.open(voice_bundle, backend="abacus")


def test_a_backend_that_fell_back_in_silence(
    voice_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere:
        def __init__(self, *_: object, **__: object) -> None: ...

        def get_providers(self) -> list[str]:
            return ["AbacusExecutionProvider", "CPUExecutionProvider"]

    monkeypatch.setattr("onnxruntime.InferenceSession", Elsewhere)
    message = "asked for CPUExecutionProvider, ONNX Runtime runs AbacusExecutionProvider"
    with pytest.raises(BackendError, match=message):
        Synthesizer.open(voice_bundle, backend="ort-cpu")


def test_onnxruntime_is_not_installed(voice_bundle: Path) -> None:
    code = f"""
import sys
sys.modules["onnxruntime"] = None
from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.errors import BackendError
try:
    Synthesizer.open({str(voice_bundle)!r})
except BackendError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = 'ONNX Runtime is not installed; run: pip install "qwen3-tts-edge[cpu]"'
    assert done.stdout.strip() == expected


@pytest.mark.parametrize("command", ["speak Hello. --backend ort-cpu", "doctor"])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("raise ImportError('DLL load failed: no such module')", "DLL load failed: no such module"),
        ("import flatbuffers_of_it", "No module named 'flatbuffers_of_it'"),
        ("", "cannot import name 'InferenceSession' from 'onnxruntime'"),
    ],
    ids=["library", "dependency", "rest of an uninstallation"],
)
def test_onnxruntime_that_is_broken_is_not_said_to_be_absent(
    tmp_path: Path, content: str, found: str, command: str
) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text(content)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {PROGRAM[-1]}"
    done = subprocess.run(
        [*PROGRAM[:-1], code, *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"ONNX Runtime is installed, but cannot be loaded ({found}" in said
    assert "install --force-reinstall --no-deps onnxruntime" in said
    assert "Traceback" not in said
    assert "ONNX Runtime is not installed" not in said


@pytest.mark.parametrize("name", [FRAME, CODEC_DECODER])
@pytest.mark.parametrize("kind", ["onnx", "data"])
def test_a_graph_that_cannot_be_loaded(
    voice_bundle: Path, tmp_path: Path, name: str, kind: str
) -> None:
    """What hashes would have found is still one readable error without them."""
    for ending in ("onnx", "data"):
        shutil.copy(voice_bundle / f"{name}.{ending}", tmp_path)
    damaged = tmp_path / f"{name}.{kind}"
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 3])
    graph = Manifest.load(voice_bundle).graphs[name]
    with pytest.raises(BundleError, match=rf"{name}\.onnx cannot be loaded by ONNX Runtime"):
        open_backend("ort-cpu").open(tmp_path, graph)


@pytest.mark.parametrize("newer", ["operator", "of Microsoft", "type", "opset", "format"])
def test_a_graph_that_is_newer_than_onnx_runtime_asks_for_another_one(
    tmp_path: Path, newer: str
) -> None:
    onnx = pytest.importorskip("onnx")
    kind, domain = {"operator": ("New", ""), "of Microsoft": ("New", "com.microsoft")}.get(
        newer, ("Sin", "")
    )
    number = onnx.TensorProto.BFLOAT16 if newer == "type" else onnx.TensorProto.FLOAT
    x, y = (onnx.helper.make_tensor_value_info(name, number, [1]) for name in "xy")
    node = onnx.helper.make_node(kind, ["x"], ["y"], domain=domain)
    opsets = {"": 99 if newer == "opset" else 22, "com.microsoft": 1}
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "newer", [x], [y]),
        opset_imports=[onnx.helper.make_opsetid(*each) for each in opsets.items()],
        ir_version=99 if newer == "format" else 10,
    )
    path = tmp_path / "newer.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BundleError) as refused:
        load(path, session_options(1), "CPUExecutionProvider")
    assert ort.__version__ in refused.value.found
    assert (
        refused.value.remedy
        == "the graph may be newer than that, run: pip install --upgrade onnxruntime"
    )


def test_outputs_are_the_callers_to_keep(voice_bundle: Path) -> None:
    graph = Manifest.load(voice_bundle).graphs[CODEC_DECODER]
    codec = open_backend("ort-cpu", threads=1).open(voice_bundle, graph)
    codes = np.zeros((1, 2, 16), np.int64)
    state = codec.state()
    first = codec.run({"codes": codes, "position": np.array([0])}, state)["samples"]
    kept = first.copy()
    codec.run({"codes": codes + 5, "position": np.array([2])}, state)
    assert np.array_equal(first, kept)


def test_clear_takes_names_or_all(voice_bundle: Path) -> None:
    graph = Manifest.load(voice_bundle).graphs[CODEC_DECODER]
    codec = open_backend("ort-cpu", threads=1).open(voice_bundle, graph)
    inputs = {"codes": np.full((1, 3, 16), 7), "position": np.array([0])}
    state = codec.state()
    fresh = codec.run(inputs, state)["samples"]
    assert not np.array_equal(codec.run(inputs, state)["samples"], fresh)
    state.clear()
    assert np.array_equal(codec.run(inputs, state)["samples"], fresh)
    state.clear("past.pre_conv")
    assert not np.array_equal(codec.run(inputs, state)["samples"], fresh)


def test_the_time_in_launches_is_counted(voice_bundle: Path) -> None:
    graph = Manifest.load(voice_bundle).graphs[CODEC_DECODER]
    codec = open_backend("ort-cpu", threads=1).open(voice_bundle, graph)
    assert codec.seconds == 0
    codec.run({"codes": np.zeros((1, 1, 16), np.int64), "position": np.array([0])}, codec.state())
    assert 0 < codec.seconds < 10
