"""Engines run where they were built for, and the error says what that is and what is here."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from qwen3_tts_edge.bundle.engines import (
    FILE,
    FOLDER,
    AxisRange,
    EngineKey,
    Engines,
    engine_graphs,
    find_engines,
    graphs_hash,
    plan_file,
)
from qwen3_tts_edge.bundle.graph_spec import GraphSpec, ReadsSpec
from qwen3_tts_edge.bundle.manifest import CodecManifest
from qwen3_tts_edge.bundle.own_files import FileSpec, sha256
from qwen3_tts_edge.errors import BackendError, BundleError

RTX = EngineKey(
    library="tensorrt_rtx",
    version="1.7.1.116",
    capabilities=("sm_80", "sm_86", "sm_89", "sm_120"),
    gpu=None,
    graphs="ab" * 32,
)
TUNED = EngineKey(
    library="tensorrt",
    version="10.16.1.11",
    capabilities=("sm_87",),
    gpu="Orin (nvgpu)",
    graphs="ab" * 32,
)
ADA = {"capabilities": ("sm_89",), "gpu": "NVIDIA L4"}


def changed(key: EngineKey, **values: object) -> EngineKey:
    return msgspec.structs.replace(key, **values)


def write(bundle: Path, key: EngineKey) -> Path:
    folder = bundle / FOLDER / key.folder_name
    folder.mkdir(parents=True)
    plan = plan_file(folder, "talker_step")
    plan.write_bytes(b"plan of the talker")
    axes = {"capacity": AxisRange(least=2512, best=2512, most=2512)}
    plans = {"talker_step": FileSpec(size=plan.stat().st_size, sha256=sha256(plan))}
    Engines(key=key, axes=axes, plans=plans).save(folder)
    return folder


@pytest.mark.parametrize(("built", "here"), [(RTX, changed(RTX, **ADA)), (TUNED, TUNED)])
def test_found_where_they_were_built_for(tmp_path: Path, built: EngineKey, here: EngineKey) -> None:
    write(tmp_path, changed(built, version="1.0"))  # of an older library, beside the right ones
    folder = write(tmp_path, built)
    found, engines = find_engines(tmp_path, here)
    assert found == folder
    assert engines.key == built
    assert engines.axes["capacity"].most == 2512
    assert plan_file(found, "talker_step").read_bytes() == b"plan of the talker"


@pytest.mark.parametrize(
    ("built", "here"),
    [
        (RTX, changed(RTX, **ADA, version="1.6.1.120")),
        (RTX, changed(RTX, capabilities=("sm_75",), gpu="NVIDIA T4")),
        (RTX, changed(RTX, **ADA, graphs="cd" * 32)),
        (RTX, changed(RTX, **ADA, library="tensorrt")),
        (TUNED, changed(TUNED, gpu="Orin Nano")),
        (TUNED, changed(TUNED, capabilities=("sm_110",))),
        (TUNED, changed(TUNED, version="10.3.0")),
    ],
)
def test_refused_elsewhere_with_both_keys_named(
    tmp_path: Path, built: EngineKey, here: EngineKey
) -> None:
    write(tmp_path, built)
    with pytest.raises(BackendError) as caught:
        find_engines(tmp_path, here)
    message = str(caught.value)
    assert f"has no engines for [{here}]; it has those for [{built}]; run: " in message
    target = {"tensorrt": "this-gpu", "tensorrt_rtx": "rtx"}[here.library]
    assert message.endswith(f"run: qwen3-tts-export engines {tmp_path} --target {target}")


def test_a_key_names_everything_it_compares() -> None:
    assert str(RTX) == "tensorrt_rtx 1.7.1.116 on sm_80, sm_86, sm_89, sm_120, graphs abababababab"
    assert str(TUNED) == "tensorrt 10.16.1.11 on sm_87 (Orin (nvgpu)), graphs abababababab"


def test_a_folder_of_its_own_for_each_key() -> None:
    assert TUNED.folder_name == "tensorrt-10.16.1.11-sm_87-Orin-nvgpu"
    assert RTX.folder_name == "tensorrt_rtx-1.7.1.116-sm_80-sm_86-sm_89-sm_120"


def test_none_built_yet(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="it has none; run: qwen3-tts-export engines"):
        find_engines(tmp_path, TUNED)


@pytest.mark.parametrize("damage", ["changed", "short", "missing", "unknown key", "no json"])
def test_damaged(tmp_path: Path, damage: str) -> None:
    folder = write(tmp_path, TUNED)
    plan, page = plan_file(folder, "talker_step"), folder / FILE
    if damage == "changed":
        plan.write_bytes(b"plan of the walker")
    elif damage == "short":
        plan.write_bytes(b"plan")
    elif damage == "missing":
        plan.unlink()
    elif damage == "unknown key":
        page.write_text(page.read_text().replace('"axes"', '"axles"'))
    else:
        page.write_text("not json")
    with pytest.raises(BundleError, match="build the engines again"):
        find_engines(tmp_path, TUNED)


@dataclass
class OnlyGraphs:
    """The two columns of a manifest that the hash is made from."""

    graphs: dict[str, GraphSpec]
    files: dict[str, FileSpec]
    files_of = CodecManifest.files_of


@pytest.fixture
def manifest() -> OnlyGraphs:
    names = ("talker_step", "codec_decoder", "codec_encoder", "speaker_encoder")
    empty = GraphSpec("", (), (), (), in_place=False, reads=ReadsSpec(0, 0, 0))
    graphs = {name: msgspec.structs.replace(empty, file=f"{name}.onnx") for name in names}
    files = [f"{name}.{kind}" for name in names for kind in ("onnx", "data")] + ["text_rows.npy"]
    return OnlyGraphs(graphs, {file: FileSpec(size=1, sha256=file) for file in files})


def test_what_is_built_from(manifest: OnlyGraphs) -> None:
    assert list(engine_graphs(manifest)) == ["talker_step", "codec_decoder"]


@pytest.mark.parametrize(
    ("file", "differs"),
    [
        ("talker_step.onnx", True),
        ("codec_decoder.data", True),
        ("codec_encoder.data", False),
        ("text_rows.npy", False),
    ],
)
def test_the_hash_is_that_of_the_graphs_and_their_weights(
    manifest: OnlyGraphs, file: str, differs: bool
) -> None:
    before = graphs_hash(manifest)
    manifest.files[file] = FileSpec(size=1, sha256="another")
    assert (graphs_hash(manifest) != before) is differs
