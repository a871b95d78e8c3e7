"""A bundle that was compared with its hashes is not read again, unless a file of it has changed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwen3_tts_edge.bundle import Bundle, hash_memory, own_files
from qwen3_tts_edge.bundle.hash_memory import FILE
from qwen3_tts_edge.cache import VARIABLE
from qwen3_tts_edge.errors import BundleError

Read = list[str]
DAMAGED = r"frame\.data is not what was written"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and files old enough to be remembered as soon as they are written."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(VARIABLE, str(folder))
    monkeypatch.setattr(hash_memory, "_SETTLED", -(10**12))
    return folder


@pytest.fixture
def bundle(voice_bundle: Path, tmp_path: Path) -> Bundle:
    """A copy that may be damaged."""
    return Bundle.open(shutil.copytree(voice_bundle, tmp_path / "bundle"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """The files that were read, by name."""
    names: Read = []
    hashed = own_files.sha256

    def noted(path: Path) -> str:
        names.append(path.name)
        return hashed(path)

    monkeypatch.setattr(own_files, "sha256", noted)
    return names


def files_of(bundle: Bundle) -> Read:
    return list(bundle.manifest.files)


def damage(path: Path) -> None:
    """Change a byte; the size and the time of the change are as before."""
    before = path.stat()
    with path.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_only_the_first_check_reads(cache: Path, bundle: Bundle, read: Read) -> None:
    bundle.check()
    assert read == files_of(bundle)
    bundle.check()
    Bundle.open(bundle.folder).check()
    assert read == files_of(bundle)


def test_verify_always_reads(cache: Path, bundle: Bundle, read: Read) -> None:
    bundle.check()
    bundle.verify()
    assert read == 2 * files_of(bundle)


def test_a_changed_file_is_read_again_and_no_other(cache: Path, bundle: Bundle, read: Read) -> None:
    bundle.check()
    del read[:]
    damage(bundle.folder / "frame.data")
    with pytest.raises(BundleError, match=DAMAGED):
        bundle.check()
    assert read == ["frame.data"]
    damage(bundle.folder / "frame.data")
    bundle.check()
    bundle.check()
    assert read == ["frame.data"] * 2


def test_a_replaced_file_is_read_again(cache: Path, bundle: Bundle, read: Read) -> None:
    bundle.check()
    del read[:]
    table = bundle.folder / "codec_rows.npy"
    shutil.copy2(table, bundle.folder / "another")
    (bundle.folder / "another").replace(table)
    bundle.check()
    assert read == ["codec_rows.npy"]


def test_a_file_of_just_now_is_not_remembered(
    cache: Path, bundle: Bundle, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could change once more in the same tick of the file system's clock."""
    monkeypatch.setattr(hash_memory, "_SETTLED", 10**12)
    bundle.check()
    bundle.check()
    assert read == 2 * files_of(bundle)


Entry = dict[str, Any]


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.update(sha256="0" * 64),
        lambda entry: entry.update(inode=entry["inode"] + 1),
        lambda entry: entry.update(size=entry["size"] + 1),
        lambda entry: entry.update(ctime_ns=0),
        lambda entry: entry.update(size="9"),
        lambda entry: entry.update(trusted=True),
        lambda entry: entry.pop("device"),
    ],
)
def test_an_entry_that_does_not_fit_costs_time_and_accuses_nobody(
    cache: Path, bundle: Bundle, read: Read, change: Callable[[Entry], object]
) -> None:
    bundle.check()
    content = json.loads((cache / FILE).read_text())
    for entry in content["files"]:
        change(entry)
    (cache / FILE).write_text(json.dumps(content))
    del read[:]
    bundle.check()
    assert read == files_of(bundle)
    bundle.check()
    assert read == files_of(bundle)
    damage(bundle.folder / "frame.data")
    with pytest.raises(BundleError, match=DAMAGED):
        bundle.check()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"files": [7]}', b'{"files": [{"path": "\xff"}]}'],
)
def test_a_damaged_memory_is_replaced(
    cache: Path, bundle: Bundle, read: Read, content: bytes
) -> None:
    cache.mkdir()
    (cache / FILE).write_bytes(content)
    bundle.check()
    bundle.check()
    assert read == files_of(bundle)


def test_what_leaves_no_trace_is_found_by_verify(cache: Path, bundle: Bundle) -> None:
    """As bytes that a failing disk gives: the file system says that all is as it was."""
    bundle.check()
    damage(bundle.folder / "frame.data")
    content = json.loads((cache / FILE).read_text())
    for entry in content["files"]:
        entry["ctime_ns"] = Path(entry["path"]).stat().st_ctime_ns
    (cache / FILE).write_text(json.dumps(content))
    bundle.check()
    with pytest.raises(BundleError, match=DAMAGED):
        bundle.verify()


@pytest.mark.parametrize("place", ["a-file/cache", "~nobody-of-that-name/cache"])
def test_without_a_cache(
    bundle: Bundle, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Where nothing can be written, and where there is no home folder."""
    (tmp_path / "a-file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, place)
    before = sorted(tmp_path.iterdir())
    bundle.check()
    bundle.check()
    assert read == 2 * files_of(bundle)
    assert sorted(tmp_path.iterdir()) == before


def test_a_memory_that_cannot_be_replaced(
    cache: Path, bundle: Bundle, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a cache folder that may only be read."""

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(hash_memory, "write_json", refused)
    bundle.check()
    bundle.check()
    assert read == 2 * files_of(bundle)


def test_the_latest_are_kept(
    cache: Path, bundle: Bundle, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(files_of(bundle))
    monkeypatch.setattr(hash_memory, "MOST", count + 1)
    other = Bundle.open(shutil.copytree(bundle.folder, bundle.folder.with_name("other")))
    bundle.check()
    other.check()
    assert len(json.loads((cache / FILE).read_text())["files"]) == count + 1
    del read[:]
    other.check()
    assert read == []
    bundle.check()
    assert read == files_of(bundle)[:-1]


CHECK = """
import sys
from qwen3_tts_edge.bundle import Bundle, hash_memory
hash_memory._SETTLED = -(10**12)
bundle = Bundle.open(sys.argv[1])
print("ready", flush=True)
input()
for _ in range(20):
    bundle.check()
    place = hash_memory.cache_folder() / hash_memory.FILE
    hash_memory.write_json(place, hash_memory._Kept(files=()))  # so that each check saves
bundle.check()
"""


def test_processes_that_remember_at_once(cache: Path, bundle: Bundle, read: Read) -> None:
    """Each may lose what another found; the memory is whole at any time."""
    command = [sys.executable, "-c", CHECK, str(bundle.folder)]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for each in both:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in both:
        each.communicate("\n", timeout=60)
    assert [each.returncode for each in both] == [0, 0]
    assert sorted(path.name for path in cache.iterdir()) == [FILE]
    json.loads((cache / FILE).read_text())
    bundle.check()
    del read[:]
    bundle.check()
    assert read == []
