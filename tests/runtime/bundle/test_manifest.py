"""The door: what is not exactly a bundle of this version is refused, and the message says how."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.head import FILE, FORMAT
from qwen3_tts_edge.bundle.manifest import Manifest, load_codec
from qwen3_tts_edge.errors import BundleError
from tiny import EDGE_VOICE

Content = dict[str, Any]


@pytest.fixture(scope="module")
def copy(voice_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy whose files may be damaged, and must be mended."""
    return shutil.copytree(voice_bundle, tmp_path_factory.mktemp("copy") / "bundle")


def rewritten(bundle: Path, folder: Path, change: Callable[[Content], object]) -> Path:
    """A folder with only a manifest, that of `bundle` with a change."""
    content = json.loads((bundle / FILE).read_text())
    change(content)
    (folder / FILE).write_text(json.dumps(content))
    return folder


def test_what_is_saved_is_what_is_loaded(voice_bundle: Path, tmp_path: Path) -> None:
    manifest = Manifest.load(voice_bundle)
    manifest.save(tmp_path)
    assert Manifest.load(tmp_path) == manifest
    assert (tmp_path / FILE).read_bytes() == (voice_bundle / FILE).read_bytes()


def test_frames_per_second(voice_bundle: Path) -> None:
    assert Manifest.load(voice_bundle).frames_per_second == 12.5


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_that_is_no_bundle(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match=rf"{name} is not a bundle: no manifest\.json"):
        Synthesizer.open(tmp_path / name)


def test_a_checkpoint_is_no_bundle_and_the_message_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f"there is one inside: {EDGE_VOICE / 'int8'}"):
        Synthesizer.open(EDGE_VOICE)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        BundleError, match=f"qwen3-tts-export bundle {tmp_path} -o {tmp_path}-bundle"
    ):
        Synthesizer.open(tmp_path)


@pytest.mark.parametrize("load", [Manifest.load, load_codec, Synthesizer.open])
def test_an_older_format_and_the_command_that_makes_it_new(
    voice_bundle: Path, tmp_path: Path, load: Callable[[Path], object]
) -> None:
    """Said before anything else about it, because other formats have other keys."""
    folder = rewritten(voice_bundle, tmp_path, lambda m: m.update(format=1, new_key=1))
    with pytest.raises(BundleError) as caught:
        load(folder)
    assert caught.value.found.endswith(f"is of format 1, this version reads format {FORMAT}")
    remedy = caught.value.remedy or ""
    assert "qwen3-tts-export bundle edge-voice --precision int8 --flavour ort -o " in remedy
    assert FORMAT == 2


def test_the_command_that_makes_it_new_runs_nothing_else(
    voice_bundle: Path, tmp_path: Path
) -> None:
    folder = rewritten(voice_bundle, tmp_path, lambda m: m.update(format=1, precision="int8; ls"))
    with pytest.raises(BundleError) as caught:
        Manifest.load(folder)
    assert "--precision 'int8; ls' --flavour ort -o " in (caught.value.remedy or "")


@pytest.mark.parametrize("found", [FORMAT + 1, 99])
def test_a_newer_format(voice_bundle: Path, tmp_path: Path, found: int) -> None:
    folder = rewritten(voice_bundle, tmp_path, lambda m: m.update(format=found, new_key=1))
    message = rf"is of format {found}, this version reads format {FORMAT}; run: pip install --upgr"
    with pytest.raises(BundleError, match=message):
        Manifest.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(colour="red"), "damaged: .*unknown field `colour`"),
        (lambda m: m["graphs"]["frame"].update(extra=1), r"unknown field `extra` - at .*graphs"),
        (lambda m: m.pop("precision"), "missing required field `precision`"),
        (lambda m: m.pop("format"), "missing required field `format`"),
        (lambda m: m.update(codebooks="16"), r"Expected `int`, got `str` - at `\$\.codebooks`"),
        (lambda m: m["sampling"].pop("top_k"), "missing required field `top_k`"),
        (lambda m: m.pop("utterance"), "missing required field `utterance`"),
        (lambda m: m["files"].pop("frame.onnx"), "'frame.onnx' is not one of the bundle's own"),
        (lambda m: m["files"].update({"../a": m["files"]["frame.onnx"]}), r"'\.\./a' is not one"),
        (lambda m: m.update(sample_rate=0), r"Expected `int` >= 1 - at `\$\.sample_rate`"),
        (
            lambda m: m.update(samples_per_frame=1),
            "1 samples a frame at 24000 Hz are no frame",
        ),
        (lambda m: m.update(codebooks=15), "the codes of .* are not of 15 codebooks"),
        (lambda m: m["speakers"].update(x=9999), "x is 9999, of .* codes"),
        (lambda m: m["sampling"].update(temperature=1e-50), "Expected `float` > 1e-37"),
        (lambda m: m["checkpoint"].update(model_type="choir"), "of the type 'choir'; this version"),
        (lambda m: m["graphs"]["frame"]["inputs"][0].update(dtype="x"), "matching regex"),
    ],
)
def test_unknown_missing_and_wrong_keys(
    voice_bundle: Path, tmp_path: Path, change: Callable[[Content], object], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        Manifest.load(rewritten(voice_bundle, tmp_path, change))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"\xff', b"[" * 100_000])
def test_a_damaged_manifest(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(
        BundleError, match=r"manifest\.json is damaged: .*; export the bundle again"
    ):
        Manifest.load(tmp_path)


def test_a_cut_manifest(voice_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes((voice_bundle / FILE).read_bytes()[:-100])
    with pytest.raises(BundleError, match="is damaged"):
        Manifest.load(tmp_path)


def test_a_whole_bundle_passes(copy: Path) -> None:
    Manifest.load(copy).verify(copy)


def bundle_files() -> list[str]:
    graphs = [f"{name}.{kind}" for name in ("frame", "codec_decoder") for kind in ("onnx", "data")]
    return [*graphs, "text_rows.npy", "codec_rows.npy", "tokenizer.json"]


def test_every_file_is_in_the_manifest(copy: Path) -> None:
    assert sorted(Manifest.load(copy).files) == sorted(bundle_files())
    beside = {FILE, "PARITY.md"}  # the second is written later, by who compares it with fp32
    found = {path.name for path in copy.iterdir()}
    assert found - {"NOTICE"} == {*bundle_files(), *beside}  # which a wheel has here


@pytest.mark.parametrize("name", bundle_files())
def test_one_flipped_byte(copy: Path, name: str) -> None:
    path = copy / name
    middle = path.stat().st_size // 2
    with path.open("r+b") as file:
        file.seek(middle)
        (byte,) = file.read(1)
        file.seek(middle)
        file.write(bytes([byte ^ 1]))
    try:
        message = rf"{re.escape(name)} is not what was written: its sha256 is not"
        with pytest.raises(BundleError, match=message):
            Synthesizer.open(copy)
    finally:
        with path.open("r+b") as file:
            file.seek(middle)
            file.write(bytes([byte]))


@pytest.mark.parametrize("name", bundle_files())
def test_a_cut_file(copy: Path, name: str) -> None:
    path = copy / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    try:
        message = (
            rf"{re.escape(name)} has {len(whole) - 1} bytes, the manifest says {len(whole)}; "
            "copy or export the bundle again"
        )
        with pytest.raises(BundleError, match=message):
            Synthesizer.open(copy)
    finally:
        path.write_bytes(whole)


def test_a_file_that_git_did_not_fetch(copy: Path) -> None:
    path = copy / "frame.onnx"
    whole = path.read_bytes()
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n")
    try:
        with pytest.raises(BundleError, match=r"frame\.onnx is a Git LFS pointer, .*git lfs pull"):
            Synthesizer.open(copy)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("name", bundle_files())
def test_a_missing_file(copy: Path, name: str) -> None:
    away = (copy / name).rename(copy.parent / name)
    try:
        message = rf"{re.escape(name)} is missing; copy or export the bundle again"
        with pytest.raises(BundleError, match=message):
            Synthesizer.open(copy)
    finally:
        away.rename(copy / name)


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        (
            "text_rows.npy",
            np.zeros((9, 7), np.float16),
            r"is \(9, 7\); expected \[\d+\] at",
        ),
        ("text_rows.npy", np.zeros(9, np.float16), r"is \(9,\); expected"),
        ("codec_rows.npy", np.zeros((9, 256), np.int8), "codec_rows.npy is "),
        ("text_rows.npy", None, r"text_rows\.npy cannot be read \("),
    ],
)
def test_a_table_of_another_shape(
    copy: Path, name: str, table: np.ndarray | None, message: str
) -> None:
    path = copy / name
    whole = path.read_bytes()
    try:
        if table is None:
            path.write_bytes(whole.replace(b"}", b"(", 1))
        else:
            np.save(path, table)
        with pytest.raises(BundleError, match=message):
            Synthesizer.open(copy, verify=False)
    finally:
        path.write_bytes(whole)


def test_a_text_id_without_a_row(copy: Path) -> None:
    tables = Bundle.open(copy).tables
    with pytest.raises(BundleError, match=r"text_rows\.npy has \d+ rows, none for id 999999"):
        tables.text(1, 999_999)
