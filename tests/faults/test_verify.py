"""What `verify` promises: only the files that a bundle lists are opened, whatever it says."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from faults.children import child
from qwen3_tts_edge import BundleError, Synthesizer
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.engines import FOLDER as ENGINES
from qwen3_tts_edge.bundle.engines import (
    EngineKey,
    Engines,
    find_engines,
    graphs_hash,
    plan_file,
)
from qwen3_tts_edge.bundle.external_data import weight_files
from qwen3_tts_edge.bundle.head import FILE
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.own_files import FileSpec, sha256

GRAPH, TABLE = "codec_decoder.onnx", "text_rows.npy"


@pytest.fixture
def bundle(voice_bundle: Path, tmp_path: Path) -> Path:
    """A copy that may be made hostile, in a folder with a secret."""
    (tmp_path / "secret").write_bytes((voice_bundle / "codec_decoder.data").read_bytes())
    return shutil.copytree(voice_bundle, tmp_path / "bundle")


def opened_by(work: Callable[[], object], folder: Path) -> set[str]:
    """What is opened below a folder: by Python, and mapped or opened by libraries at the end."""
    log = folder / "opened"

    def watched() -> None:
        def note(event: str, args: tuple[object, ...]) -> None:
            if event == "open" and isinstance(args[0], str | bytes):
                path = os.path.realpath(os.fsdecode(args[0]))
                if path.startswith(str(folder)) and path != str(log):
                    seen.add(path)

        seen: set[str] = set()
        sys.addaudithook(note)
        try:
            kept = work()
            maps = Path("/proc/self/maps").read_text().split("\n")
            seen.update(line[73:] for line in maps if str(folder) in line)
            del kept
        finally:
            log.write_text("\n".join(seen))

    ended = child(watched)
    assert ended.code in (0, 70), ended.said
    names = {os.path.relpath(path, folder) for path in log.read_text().split("\n") if path}
    log.unlink()
    return names


def rewrite(bundle: Path, **changes: object) -> None:
    """Write a manifest whose hashes are those of the files that are there."""
    content = json.loads((bundle / FILE).read_text())
    for name in content["files"]:
        if (bundle / name).is_file():
            path = bundle / name
            content["files"][name] = {"size": path.stat().st_size, "sha256": sha256(path)}
    (bundle / FILE).write_text(json.dumps(content | changes))


def listed(bundle: Path) -> set[str]:
    return {f"bundle/{name}" for name in (FILE, *Manifest.load(bundle).files)}


def speak(bundle: Path) -> object:
    tts = Synthesizer.open(bundle, threads=1)
    return tts, list(tts.stream("Hello.", seed=1, max_seconds=0.16))


def test_a_good_bundle_opens_its_own_files(bundle: Path) -> None:
    (bundle / "PARITY.md").write_text("not listed")
    found = opened_by(lambda: speak(bundle), bundle.parent)
    assert f"bundle/{GRAPH[:-5]}.data" in found  # what ONNX Runtime maps is seen too
    assert found <= listed(bundle) - {"bundle/PARITY.md"}


@pytest.mark.parametrize("place", ["../secret", "{folder}/secret", "unlisted.data", "link.data"])
def test_weights_elsewhere(bundle: Path, place: str) -> None:
    place = place.format(folder=bundle.parent)
    shutil.copy(bundle.parent / "secret", bundle / "unlisted.data")
    (bundle / "link.data").symlink_to("../secret")
    model = onnx.load(bundle / GRAPH, load_external_data=False)
    for weight in model.graph.initializer:
        for entry in weight.external_data:
            if entry.key == "location":
                entry.value = place
    (bundle / GRAPH).write_bytes(model.SerializeToString())
    rewrite(bundle)
    refused(bundle, f"{GRAPH} has weights in '{place}', which is not one of the bundle's own files")


def test_weights_that_are_named_in_another_way(bundle: Path) -> None:
    """Protocol Buffers can be written in many ways; whoever reads them understands all."""
    entry = b"\x6a\x1e\x0a\x08location\x12\x12codec_decoder.data"
    good = (bundle / GRAPH).read_bytes()
    assert entry in good
    value = b"\x12\x12codec_decoder.data"
    for other in (
        b"\x6a\x1e" + value + b"\x0a\x08location",  # the value first
        b"\x6a\x1f\x0a\x88\x00location" + value,  # a length that is written longer
        b"\x6a\x28\x0a\x08location" + value + b"\x12\x08../a.tx",  # the last of two counts
    ):
        (bundle / GRAPH).write_bytes(good.replace(entry, other, 1))
        assert "" in weight_files(bundle / GRAPH)
        rewrite(bundle)
        refused(bundle, f"{GRAPH} has weights in ''")


def test_a_link_out_of_the_bundle(bundle: Path) -> None:
    shutil.move(bundle / TABLE, bundle.parent / "secret")
    (bundle / TABLE).symlink_to("../secret")
    refused(bundle, f"{TABLE} is a link that leads out of the bundle; if you trust")


def test_links_of_the_hub(bundle: Path) -> None:
    snapshot, blobs = bundle.parent / "snapshots" / "c0ffee", bundle.parent / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for path in bundle.iterdir():
        path.rename(blobs / path.name)
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    found = opened_by(lambda: speak(snapshot), bundle.parent)
    assert {Path(path).parent.as_posix() for path in found} == {"blobs"}


@pytest.mark.parametrize("name", ["tokenizer.json", TABLE, "codec_rows.npy", GRAPH])
def test_a_file_that_is_not_listed(bundle: Path, name: str) -> None:
    files = json.loads((bundle / FILE).read_text())["files"]
    del files[name]
    rewrite(bundle, files=files)
    refused(bundle, f"{FILE} is damaged: '{name}' is not one of the bundle's own files")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "..", "C:secret", "a\0b"])
def test_names_that_lead_out(bundle: Path, name: str) -> None:
    files = json.loads((bundle / FILE).read_text())["files"]
    rewrite(bundle, files=files | {name: {"size": 1, "sha256": "00"}})
    refused(bundle, "is not one of the bundle's own files")


def test_a_graph_of_another_bundle(bundle: Path) -> None:
    """Tensors that are not those of the manifest: addresses are bound by what that says."""
    manifest = Manifest.load(bundle)
    graphs = json.loads((bundle / FILE).read_text())["graphs"]
    graphs["codec_decoder"]["file"] = manifest.graph("frame").file
    rewrite(bundle, graphs=graphs)
    refused(bundle, "the manifest says nothing of it; export the bundle again")


def test_a_plan_that_was_changed(bundle: Path) -> None:
    key = EngineKey(
        library="tensorrt_rtx",
        version="1.7",
        capabilities=("sm_89",),
        gpu=None,
        graphs=graphs_hash(Manifest.load(bundle)),
    )
    folder = bundle / ENGINES / key.folder_name
    folder.mkdir(parents=True)
    plan = plan_file(folder, "frame")
    plan.write_bytes(b"good")
    plans = {"frame": FileSpec(size=4, sha256=sha256(plan))}
    Engines(key=key, axes={}, plans=plans).save(folder)
    Bundle.open(bundle).verify()
    find_engines(bundle, key)
    plan.write_bytes(b"evil")
    message = "frame.plan is not what was written: .*; build the engines again"
    for read in (Bundle.open(bundle).verify, lambda: find_engines(bundle, key)):
        with pytest.raises(BundleError, match=message):
            read()


def refused(bundle: Path, message: str) -> None:
    """It is refused, and no secret was opened for it."""
    found = opened_by(lambda: speak(bundle), bundle.parent)
    assert found <= listed_or_less(bundle)
    with pytest.raises(BundleError) as error:
        speak(bundle)
    assert message in str(error.value)


def listed_or_less(bundle: Path) -> set[str]:
    """The names that are both listed and in the folder."""
    files = json.loads((bundle / FILE).read_text())["files"]
    return {f"bundle/{name}" for name in (FILE, *files) if not (bundle / name).is_symlink()}
