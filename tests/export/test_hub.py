"""From a hub id to a folder: a fabricated cache offline, and a small hub on this machine online.

Each question is asked in a process of its own, because huggingface_hub reads its environment once.
"""

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import pytest

from edits import edit_tensors
from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_edge.hub import INDEX, is_hub_id, shards
from qwen3_tts_export.checkpoint.hub import download
from qwen3_tts_export.checkpoint.safetensors_header import read_header
from qwen3_tts_export.checkpoint.spec import load_spec, published_files
from released import CODEC

TinyCheckpoint = Callable[..., Path]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
API = "/api/models/someone/tiny"

DOWNLOAD = """
import sys
from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.hub import download
try:
    print(download(*sys.argv[1:]))
except CheckpointError as error:
    print("refused:", error)
"""
COMPAT = """
import sys
from qwen3_tts_edge.compat import Qwen3TTSModel
from qwen3_tts_edge.errors import Qwen3TTSError
try:
    Qwen3TTSModel.from_pretrained(*sys.argv[1:], device_map="cpu")
except Qwen3TTSError as error:
    print("refused:", error)
"""
CHECK = """
import os, sys
from pathlib import Path
from qwen3_tts_export.checkpoint.checking import check
from qwen3_tts_export.checkpoint.hub import download
print(check(*sys.argv[1:]), sorted(Path(os.environ["HF_HOME"]).rglob("*.safetensors")), sep="\\n")
download(*sys.argv[1:])
print(check(*sys.argv[1:]))
"""
WITH_CODEC = """
import os, sys
from pathlib import Path
from qwen3_tts_export.checkpoint.checking import check
print(check(sys.argv[1], codec=sys.argv[2]))
print(sorted(Path(os.environ["HF_HOME"]).rglob("*.safetensors")))
"""


def ask(home: Path, *args: str, script: str = DOWNLOAD, **environment: str) -> tuple[str, str]:
    """Run a script with HF_HOME at `home`; return what it printed on (stdout, stderr)."""
    pytest.importorskip("huggingface_hub")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", script, *args],
        env={**clean, "HF_HOME": str(home), **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def put_in_cache(home: Path, hub_id: str, checkpoint: Path) -> Path:
    """Lay a checkpoint out as huggingface_hub caches it."""
    repository = home / "hub" / f"models--{hub_id.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    snapshot = repository / "snapshots" / COMMIT
    for file in checkpoint.rglob("*"):
        if file.is_file():
            blob = repository / "blobs" / hashlib.sha256(str(file).encode()).hexdigest()
            blob.parent.mkdir(exist_ok=True)
            blob.symlink_to(file)
            link = snapshot / file.relative_to(checkpoint)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
    return snapshot


class SmallHub(BaseHTTPRequestHandler):
    """Answers the requests of a download for one repository; others are unknown or gated."""

    folder: Path
    seen: list[tuple[str, str | None]]
    said: dict[str, str]
    """The hashes that files are said to have, where it is not their own."""

    def do_GET(self) -> None:
        self.answer(send=True)

    def do_HEAD(self) -> None:
        self.answer(send=False)

    def answer(self, *, send: bool) -> None:
        type(self).seen.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith(tuple(f"{API}/revision/{name}" for name in ("main", COMMIT))):
            files = [file for file in self.folder.rglob("*") if file.is_file()]
            siblings = [self.sibling(str(file.relative_to(self.folder))) for file in files]
            info = {"id": "someone/tiny", "sha": COMMIT, "siblings": siblings}
            self.reply(200, json.dumps(info).encode(), send=send)
        elif self.path.startswith(f"/someone/tiny/resolve/{COMMIT}/"):
            name = unquote(self.path.split(COMMIT + "/")[1])
            data, etag = (self.folder / name).read_bytes(), self.hash_of(name)
            if self.headers.get("Range"):
                data = data[: int(self.headers["Range"].split("-")[1]) + 1]
            self.reply(200, data, send=send, ETag=f'"{etag}"', X_Repo_Commit=COMMIT)
        elif "someone/tiny" in self.path:
            self.reply(404, b"", send=send, X_Error_Code="RevisionNotFound")
        elif "gated" in self.path:
            self.reply(403, b"", send=send, X_Error_Code="GatedRepo")
        else:
            self.reply(401, b"", send=send, X_Error_Code="RepoNotFound")

    def sibling(self, name: str) -> dict[str, Any]:
        size = (self.folder / name).stat().st_size
        lfs = {"sha256": self.hash_of(name), "size": size, "pointerSize": 135}
        return {"rfilename": name, "size": size, "blobId": "0" * 40, "lfs": lfs}

    def hash_of(self, name: str) -> str:
        own = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
        return self.said.get(name, own)

    def reply(self, status: int, data: bytes, *, send: bool, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if send:
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def small_hub(tmp_path: Path) -> Iterator[tuple[str, type[SmallHub]]]:
    folder = tmp_path / "remote"
    (folder / "speech_tokenizer").mkdir(parents=True)
    wanted = ("config.json", "model.safetensors", "merges.txt", "speech_tokenizer/config.json")
    for name in (*wanted, "README.md", "pytorch_model.bin", "speech_tokenizer/notes.md"):
        (folder / name).write_text(name)
    handler = type("Handler", (SmallHub,), {"folder": folder, "seen": [], "said": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()


def test_a_cached_checkpoint_opens_offline(tmp_path: Path, tiny_checkpoint: TinyCheckpoint) -> None:
    snapshot = put_in_cache(tmp_path, "someone/tiny", tiny_checkpoint())
    found, _ = ask(tmp_path, "someone/tiny", HF_HUB_OFFLINE="1")
    assert found == str(snapshot)


def test_offline_and_not_cached_says_both(tmp_path: Path) -> None:
    said, _ = ask(tmp_path, "someone/tiny", HF_HUB_OFFLINE="1")
    assert said == (
        f"refused: someone/tiny is not in the cache {tmp_path / 'hub'} and HF_HUB_OFFLINE is set;"
        " download it once with a connection, or give a local folder"
    )


def test_an_unreachable_hub_is_named(tmp_path: Path) -> None:
    endpoint = "http://127.0.0.1:9"  # nothing listens on the discard port
    said, _ = ask(tmp_path, "someone/tiny", HF_ENDPOINT=endpoint)
    assert said.startswith("refused: someone/tiny is not in the cache")
    assert f"{endpoint} cannot be reached" in said


def test_only_the_needed_files_are_downloaded_with_progress_shown(
    tmp_path: Path, small_hub: tuple[str, type[SmallHub]]
) -> None:
    endpoint, _ = small_hub
    found, shown = ask(tmp_path, "someone/tiny", HF_ENDPOINT=endpoint)
    files = {str(f.relative_to(found)) for f in Path(found).rglob("*") if f.is_file()}
    wanted = ("config.json", "model.safetensors", "merges.txt", "speech_tokenizer/config.json")
    assert files == set(wanted)
    assert Path(found).is_relative_to(tmp_path)
    assert "Fetching 4 files" in shown


def test_small_files_come_without_the_weights(
    tmp_path: Path, small_hub: tuple[str, type[SmallHub]]
) -> None:
    endpoint, handler = small_hub
    index = json.dumps({"weight_map": {"a": "model.safetensors"}})
    (handler.folder / INDEX).write_text(index)
    script = DOWNLOAD.replace("import download", "import small_files as download")
    found, _ = ask(tmp_path, "someone/tiny", script=script, HF_ENDPOINT=endpoint)
    files = {str(f.relative_to(found)) for f in Path(found).rglob("*") if f.is_file()}
    assert files == {"config.json", "merges.txt", "speech_tokenizer/config.json", INDEX}


def test_an_index_that_is_no_text_names_no_weights(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(b'{"weight_map": {"a": "\xff"}}')
    assert shards(tmp_path) == []


def test_weights_come_under_the_names_that_an_index_has_for_them(
    tmp_path: Path, small_hub: tuple[str, type[SmallHub]]
) -> None:
    endpoint, handler = small_hub
    named = [
        "talker[1].safetensors",
        "./parts/talker-2.safetensors",
        "../config.json",
        "README.md",
        7,
    ]
    index = json.dumps({"weight_map": dict(enumerate(named))})
    for place in (handler.folder, handler.folder / "speech_tokenizer"):
        (place / "parts").mkdir()
        for name in (*named[:2], "talker-3.safetensors"):
            (place / str(name)).write_text("weights")
        (place / "model.safetensors.index.json").write_text(index)
    (handler.folder / "model.safetensors").unlink()
    found, _ = ask(tmp_path, "someone/tiny", HF_ENDPOINT=endpoint)
    files = {str(f.relative_to(found)) for f in Path(found).rglob("*.safetensors")}
    weights = {"talker[1].safetensors", "parts/talker-2.safetensors"}
    assert files == weights | {f"speech_tokenizer/{name}" for name in weights}
    again, _ = ask(tmp_path, "someone/tiny", HF_HUB_OFFLINE="1")
    assert again == found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tiny-q8_0.gguf", "someone/tiny holds a copy converted to GGUF; use the official weights"),
        ("onnx/talker.onnx", "someone/tiny holds a copy converted to ONNX; use the official"),
        (
            "tiny-fp16.safetensors",
            "someone/tiny has tiny-fp16.safetensors and neither model.safetensors nor"
            " model.safetensors.index.json; download it into a folder, as `hf download --local-dir`"
            " does, and there rename it to model.safetensors",
        ),
        ("README.md", "someone/tiny/model.safetensors is missing"),
    ],
)
def test_what_is_no_weights_on_the_hub_is_told(
    tmp_path: Path, small_hub: tuple[str, type[SmallHub]], name: str, said: str
) -> None:
    endpoint, handler = small_hub
    for other in ("model.safetensors", "pytorch_model.bin"):
        (handler.folder / other).unlink()
    (handler.folder / name).parent.mkdir(exist_ok=True)
    (handler.folder / name).write_text("no weights")
    found, _ = ask(tmp_path, "someone/tiny", HF_ENDPOINT=endpoint)
    assert found.startswith(f"refused: {said}")


def test_the_token_of_the_environment_is_sent(
    tmp_path: Path, small_hub: tuple[str, type[SmallHub]]
) -> None:
    endpoint, handler = small_hub
    ask(tmp_path, "someone/tiny", HF_ENDPOINT=endpoint, HF_TOKEN="hf_for_tests")
    assert {token for _, token in handler.seen} == {"Bearer hf_for_tests"}


@pytest.mark.parametrize("script", [DOWNLOAD, COMPAT])
@pytest.mark.parametrize(
    ("kind", "expected", "found"),
    [
        ("sha256", "5" * 64, hashlib.sha256(b"merges.txt").hexdigest()),
        ("git hash", "5" * 40, "546c5bd7cccb344bde51a6093a19f9dd288e9ae1"),
    ],
)
def test_a_file_that_was_damaged_on_the_way_is_refused_and_removed(
    tmp_path: Path,
    small_hub: tuple[str, type[SmallHub]],
    script: str,
    kind: str,
    expected: str,
    found: str,
) -> None:
    endpoint, handler = small_hub
    handler.said["merges.txt"] = expected
    said, _ = ask(tmp_path, "someone/tiny", script=script, HF_ENDPOINT=endpoint)
    assert said.startswith("refused: ")
    assert f"merges.txt has come with the {kind} {found}, expected {expected}: it was" in said
    handler.said.clear()
    again, _ = ask(tmp_path, "someone/tiny", HF_ENDPOINT=endpoint)
    assert (Path(again) / "merges.txt").read_text() == "merges.txt"


def test_files_of_a_published_revision_have_the_published_hashes() -> None:
    spec = load_spec("0.6b-base")
    files = published_files("Qwen3-TTS-12Hz-0.6B-Base", spec.revision)
    assert files["model.safetensors"] == spec.files["model.safetensors"].sha256
    assert files["speech_tokenizer/config.json"] == load_spec(CODEC).files["config.json"].sha256
    assert published_files("Qwen3-TTS-12Hz-0.6B-Base", COMMIT) == {}
    assert published_files("someone-else", spec.revision) == {}


@pytest.mark.parametrize("weights", ["model.safetensors", "parts/talker.safetensors"])
def test_a_checkpoint_is_looked_at_without_its_weights(
    tmp_path: Path,
    small_hub: tuple[str, type[SmallHub]],
    tiny_checkpoint: TinyCheckpoint,
    weights: str,
) -> None:
    endpoint, handler = small_hub
    handler.folder = shutil.copytree(tiny_checkpoint(), tmp_path / "checkpoint")
    if weights != "model.safetensors":
        (handler.folder / weights).parent.mkdir()
        whole = (handler.folder / "model.safetensors").rename(handler.folder / weights)
        names = read_header(whole).entries
        index = json.dumps({"weight_map": dict.fromkeys(names, weights)})
        (handler.folder / "model.safetensors.index.json").write_text(index)
    said, _ = ask(tmp_path / "home", "someone/tiny", script=CHECK, HF_ENDPOINT=endpoint)
    outlined, downloaded, again = said.splitlines()
    assert "name='tiny', kind='weights in shapes of their own, custom_voice (serena, v" in outlined
    assert outlined.endswith("problems=())")
    assert downloaded == "[]"
    assert again == outlined


def test_a_codec_from_the_hub_is_looked_at_without_its_weights(
    tmp_path: Path, small_hub: tuple[str, type[SmallHub]], tiny_checkpoint: TinyCheckpoint
) -> None:
    """Beside a checkpoint that is there, whose weights are still read for what spoils them."""
    endpoint, handler = small_hub
    handler.folder = tiny_checkpoint()
    here = shutil.copytree(handler.folder, tmp_path / "here")
    shutil.rmtree(here / "speech_tokenizer")
    home = tmp_path / "home"
    given = [str(here), "someone/tiny"]
    said, _ = ask(home, *given, script=WITH_CODEC, HF_ENDPOINT=endpoint)
    assert said.endswith("problems=())\n[]")
    name = "talker.codec_head.weight"
    edit_tensors(here / "model.safetensors", lambda t: t[name].view(-1)[:1].fill_(math.nan))
    said, _ = ask(home, *given, script=WITH_CODEC, HF_ENDPOINT=endpoint)
    assert name in said.partition("problems=")[2]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("someone/gated",), "someone/gated is gated; accept its terms at"),
        (("someone/unknown",), "someone/unknown was not found on"),
        (("someone/tiny", "v9"), "someone/tiny has no revision 'v9'"),
        (("someone/tiny--x",), "someone/tiny--x could not be downloaded: Cannot have -- or"),
    ],
)
def test_each_refusal_of_the_hub_is_one_clear_line(
    tmp_path: Path, small_hub: tuple[str, type[SmallHub]], args: tuple[str, ...], said: str
) -> None:
    printed, _ = ask(tmp_path, *args, HF_ENDPOINT=small_hub[0])
    assert printed.startswith(f"refused: {said}")
    assert "\n" not in printed


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match=r'pip install "qwen3-tts-edge\[hub\]"'):
        download("someone/tiny")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice", True),
        ("someone/tiny_voice.v2", True),
        ("tiny", False),
        ("./models/tiny", False),
        ("/models/tiny", False),
        ("a/b/c", False),
        ("~/tiny", False),
        ("", False),
    ],
)
def test_a_hub_id_is_an_owner_and_a_name(source: str, expected: bool) -> None:
    assert is_hub_id(source) is expected
