"""What `from_pretrained` opens, exports once, downloads and refuses."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from parity.compat.calls import GREEDY, HELLO
from qwen3_tts_edge import BackendError, InputError, Qwen3TTSError, cache
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.compat import ArgumentError, Qwen3TTSModel, Qwen3TTSTokenizer, loading, opening
from qwen3_tts_edge.errors import BundleError, CheckpointError
from traces import command_at


def test_a_checkpoint_is_exported_once(
    tiny_checkpoint: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By the command, but for traces that were made before."""
    command = command_at(tmp_path / "qwen3-tts-export")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: str(command))
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    folder = tiny_checkpoint("custom_voice")
    model = Qwen3TTSModel.from_pretrained(str(folder), device_map="cpu", dtype=torch.float32)
    assert "once; this takes minutes" in caplog.text
    (made,) = (tmp_path / "bundles").iterdir()
    assert made == model.synthesizer.bundle.folder
    assert made.name.startswith(f"{folder.name}-")
    assert made.name.endswith("-fp32")
    assert Manifest.load(made).precision == "fp32"
    assert model.generate_custom_voice(HELLO, "ryan", **GREEDY)[0][0].shape == (19200,)
    # Again, and a copy of it: found. Another checkpoint, or precision: not.
    monkeypatch.setattr(opening, "_export", lambda *_: pytest.fail("exported again"))
    assert opening.bundle(folder, {"dtype": "float32"})[0] == made
    copy = shutil.copytree(folder, tmp_path / folder.name)
    (copy / "speech_tokenizer" / ".cache").mkdir()  # as `hf download --local-dir` leaves it
    assert opening.bundle(copy, {"torch_dtype": "torch.float32"})[0] == made
    codec = Qwen3TTSTokenizer.from_pretrained(folder, dtype="float32")
    assert codec.decode({"audio_codes": np.zeros((2, 16), np.int64)})[0][0].shape == (3840,)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    for source, dtype in ((copy, "float32"), (folder, None)):
        with pytest.raises(pytest.fail.Exception):
            opening.bundle(source, {"dtype": dtype})


def test_other_weights_in_a_folder_below_are_another_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    monkeypatch.setattr(opening, "_export", lambda *_: None)
    (tmp_path / "tune" / "parts").mkdir(parents=True)
    (tmp_path / "tune" / "config.json").write_text("{}")
    index = {"weight_map": {"talker.norm": "parts/talker.safetensors"}}
    (tmp_path / "tune" / "model.safetensors.index.json").write_bytes(msgspec.json.encode(index))
    made = set()
    for content in (b"weights", b"trained", b"weights"):
        (tmp_path / "tune" / "parts" / "talker.safetensors").write_bytes(content)
        made.add(opening.bundle(tmp_path / "tune", {})[0])
    assert len(made) == 2


def test_a_failed_export_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    with pytest.raises(BundleError, match=r"could not be exported: .*config\.json") as error:
        Qwen3TTSModel.from_pretrained(broken)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "cache").exists()


COMMAND = """#!{python}
import signal, sys, time
from pathlib import Path
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.atomic import whole_folder_or_nothing

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
try:
    with whole_folder_or_nothing(Path(sys.argv[4])) as part:
        (part / "manifest.json").touch()
        time.sleep({seconds})
except InputError as error:
    sys.exit(f"error: {{error}}")
"""


@pytest.fixture
def exporting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Put a command in the place of the export's that takes so long, and has no checkpoint."""

    def put(seconds: float) -> None:
        command = tmp_path / "qwen3-tts-export"
        command.write_text(COMMAND.format(python=sys.executable, seconds=seconds))
        command.chmod(0o755)
        monkeypatch.setattr(shutil, "which", lambda *_, **__: str(command))

    return put


def test_what_another_process_exported_meanwhile_is_used(
    tmp_path: Path, exporting: Callable[[float], None]
) -> None:
    exporting(0)
    for _ in range(2):
        opening._export(tmp_path, tmp_path / "cache" / "made", opening.Kind("int8"))
    assert [path.name for path in (tmp_path / "cache").rglob("*")] == ["made", "manifest.json"]


def test_being_stopped_while_it_exports_leaves_nothing(
    tmp_path: Path, exporting: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    exporting(60)
    made = tmp_path / "cache" / "made"

    def stop(*_: object) -> None:
        while not (made.parent / "made.part").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", stop)
    with pytest.raises(KeyboardInterrupt):
        opening._export(tmp_path, made, opening.Kind("int8"))
    assert not made.parent.exists()


def test_without_the_command_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BundleError, match=r'pip install "qwen3-tts-edge\[export\]"'):
        Qwen3TTSModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"device_map": "cuda:1"}, BackendError, "device_map is 'cuda:1'"),
        ({"device_map": torch.device("mps")}, BackendError, "device_map is 'mps'"),
        ({"device_map": {"a": "cpu", "b": "cuda:0"}}, BackendError, "device_map is"),
        ({"dtype": torch.int64}, InputError, "dtype is 'int64'; use one of float32"),
        ({"attn_implementation": "paged"}, InputError, "attn_implementation is 'paged'"),
        ({"torch_dtype": "int64"}, InputError, "dtype is 'int64'"),
        (
            {"load_in_8bit": True},
            ArgumentError,
            "argument load_in_8bit; loading takes device_map, .*fetch_urls",
        ),
        ({"x" * 10**6: True}, ArgumentError, "argument x{79}…; loading takes"),
        ({"revision": "main"}, InputError, "a revision belongs to a hub id"),
        ({"fetch_urls": "no"}, ArgumentError, "fetch_urls is 'no'; expected True or False"),
    ],
)
def test_what_cannot_be_had_is_refused(
    tiny_bundle: Callable[..., Path],
    call: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    for door in (Qwen3TTSModel, Qwen3TTSTokenizer):
        with pytest.raises(error, match=message):
            door.from_pretrained(tiny_bundle("custom_voice"), **call)


def test_float32_of_an_int8_bundle_is_refused(
    tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    exact = tiny_bundle("custom_voice")
    msgspec.structs.replace(Manifest.load(exact), precision="int8").save(tmp_path)
    with pytest.raises(InputError, match=r"dtype is float32, the bundle .* is in int8"):
        Qwen3TTSModel.from_pretrained(tmp_path, dtype=torch.float32)
    assert opening.bundle(tmp_path, {"dtype": torch.bfloat16})[0] == tmp_path
    assert opening.bundle(exact, {"dtype": torch.bfloat16})[0] == exact


@pytest.mark.parametrize("where", [None, "cpu", "auto", torch.device("cpu"), {"": "cpu"}])
def test_the_cpu_has_many_names(where: object) -> None:
    wanted = loading.flavour({"device_map": where})
    assert loading.backend(wanted, "ort", "bundle") in ("auto", "ort-cpu")


@pytest.mark.parametrize("where", ["cuda", "cuda:0", 0, torch.device("cuda:0"), {"": 0}])
def test_the_gpu_has_many_names(
    where: object,
    tiny_bundle: Callable[..., Path],
    tiny_checkpoint: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It finds what was exported for it, exports for it, or says what is missing."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    made: list[list[str]] = []
    monkeypatch.setattr(opening, "_export", lambda *given: made.append(given[1:]))
    folder, checkpoint = tiny_bundle("custom_voice"), tiny_checkpoint("custom_voice")
    lack = BackendError("no CUDA", 'run: pip install "qwen3-tts-edge[gpu]"')
    monkeypatch.setattr(loading, "cuda_lack", lambda: lack)
    for source in (folder, checkpoint):
        with pytest.raises(BackendError, match=r"the GPU.*\[gpu\].*device_map='cpu'"):
            Qwen3TTSModel.from_pretrained(source, device_map=where)
    monkeypatch.setattr(loading, "cuda_lack", lambda: None)
    with pytest.raises(BackendError, match=r"is for the CPU; export .* --flavour cuda"):
        Qwen3TTSModel.from_pretrained(folder, device_map=where)
    found, backend = opening.bundle(checkpoint, {"device_map": where})
    assert made == [(found, ("int8", "cuda"))]
    assert found.name.endswith("-int8-cuda")
    assert backend == "auto"
    msgspec.structs.replace(Manifest.load(folder), flavour="cuda").save(tmp_path)
    assert opening.bundle(tmp_path, {"device_map": where}) == (tmp_path, "auto")


def test_what_changes_nothing_is_taken(tiny_bundle: Callable[..., Path]) -> None:
    same = {"low_cpu_mem_usage": True, "use_safetensors": None, "trust_remote_code": True}
    for door in (Qwen3TTSModel, Qwen3TTSTokenizer):
        door.from_pretrained(str(tiny_bundle("custom_voice")), token="x", cache_dir="y", **same)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder, nor a hub id"):
        Qwen3TTSModel.from_pretrained("no such model")
    with pytest.raises(InputError) as error:
        Qwen3TTSModel.from_pretrained("no such model" * 1000)
    assert len(str(error.value)) < 200
    with pytest.raises(InputError, match="neither a bundle"):
        Qwen3TTSModel.from_pretrained(tmp_path)
    with pytest.raises(ArgumentError, match="the model is a int"):
        Qwen3TTSModel.from_pretrained(7)


def test_a_hub_id_is_downloaded(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    exported: list[Path] = []
    asked: dict[str, Any] = {}

    def download(source: str, *, allow_patterns: list[str], **given: Any) -> str:
        asked.update(given)
        return str(tiny_checkpoint("custom_voice"))

    monkeypatch.setattr(hub, "snapshot_download", download)
    monkeypatch.setattr(opening, "_export", lambda _, made, __: exported.append(made))
    given = {"revision": "main", "token": "t", "cache_dir": "here", "local_files_only": True}
    made, _ = opening.bundle("somebody/Some-Model/", given | {"low_cpu_mem_usage": True})
    assert asked == given
    assert exported == [made]
    assert made.name.startswith("Some-Model-")

    monkeypatch.setenv("HOME", str(tmp_path))
    opening.bundle("somebody/Some-Model", {"cache_dir": "~/here"})
    assert asked["cache_dir"] == str(tmp_path / "here")
    with pytest.raises(InputError, match="cache_dir is 5; expected a path"):
        opening.bundle("somebody/Some-Model", {"cache_dir": 5})

    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no route\nto anywhere")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(CheckpointError, match=r"could not be downloaded: no route$"):
        opening.bundle("somebody/Some-Model", {})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"threads": 0}, "threads is 0; expected a whole number from 1"),
        ({"threads": 10**6}, "the processors"),
        ({"local_files_only": "no"}, "local_files_only is 'no'; expected True or False"),
        ({"force_download": 2.0}, "force_download is 2.0; expected True or False"),
        ({"revision": 5}, "revision is a int; expected a string"),
        ({"token": 5}, "token is a int; expected a string"),
        ({}, r'somebody/model must be exported once.* pip install "qwen3-tts-edge\[export\]"'),
    ],
)
def test_what_is_refused_is_refused_before_a_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: dict[str, Any], message: str
) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(opening, "download", lambda *_, **__: pytest.fail("downloaded"))
    for door in (Qwen3TTSModel, Qwen3TTSTokenizer):
        with pytest.raises(Qwen3TTSError, match=message):
            door.from_pretrained("somebody/model", **call)
    with pytest.raises(InputError, match="max_seconds is nan; it must be finite"):
        Qwen3TTSModel.from_pretrained("somebody/model", max_seconds=float("nan"))


def test_importing_loads_no_torch() -> None:
    code = "import qwen3_tts_edge.compat, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
