"""From a hub id to a folder: a fabricated cache offline, and a small hub on this machine online.

Each question is asked in a process of its own, because huggingface_hub reads its environment once.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.hub import download, is_hub_id

TinyCheckpoint = Callable[..., Path]
COMMIT = "0123456789abcdef0123456789abcdef01234567"

ASK = """
import sys
from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.hub import download
try:
    print(download(*sys.argv[1:]))
except CheckpointError as error:
    print("refused:", error)
"""


def ask(home: Path, *args: str, **environment: str) -> tuple[str, str]:
    """Run `download(*args)` with HF_HOME at `home`; return what it printed on (stdout, stderr)."""
    pytest.importorskip("huggingface_hub")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK, *args],
        env={**clean, "HF_HOME": str(home), **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
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

    def do_GET(self) -> None:
        self.answer(send=True)

    def do_HEAD(self) -> None:
        self.answer(send=False)

    def answer(self, *, send: bool) -> None:
        type(self).seen.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/api/models/someone/tiny/revision/main"):
            names = [f.relative_to(self.folder) for f in self.folder.rglob("*") if f.is_file()]
            siblings = [{"rfilename": str(name)} for name in names]
            info = {"id": "someone/tiny", "sha": COMMIT, "siblings": siblings}
            self.reply(200, json.dumps(info).encode(), send=send)
        elif self.path.startswith(f"/someone/tiny/resolve/{COMMIT}/"):
            data = (self.folder / self.path.split(COMMIT + "/")[1]).read_bytes()
            etag = hashlib.sha256(data).hexdigest()
            self.reply(200, data, send=send, ETag=f'"{etag}"', X_Repo_Commit=COMMIT)
        elif "someone/tiny" in self.path:
            self.reply(404, b"", send=send, X_Error_Code="RevisionNotFound")
        elif "gated" in self.path:
            self.reply(403, b"", send=send, X_Error_Code="GatedRepo")
        else:
            self.reply(401, b"", send=send, X_Error_Code="RepoNotFound")

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
    handler = type("Handler", (SmallHub,), {"folder": folder, "seen": []})
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


def test_the_token_of_the_environment_is_sent(
    tmp_path: Path, small_hub: tuple[str, type[SmallHub]]
) -> None:
    endpoint, handler = small_hub
    ask(tmp_path, "someone/tiny", HF_ENDPOINT=endpoint, HF_TOKEN="hf_for_tests")
    assert {token for _, token in handler.seen} == {"Bearer hf_for_tests"}


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
    with pytest.raises(CheckpointError, match=r"pip install 'qwen3-tts-edge\[hub\]'"):
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
