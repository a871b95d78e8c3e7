"""The files of a bundle: which are its own, and whether they are as they were written."""

import hashlib
import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

from msgspec import Meta

from qwen3_tts_edge.bundle.external_data import weight_files
from qwen3_tts_edge.errors import BundleError, quoted, refuse_lfs_pointer
from qwen3_tts_edge.files import Strict

Has: TypeAlias = Callable[[Path, str], bool]
"""Tells whether a file has a sha256."""

_NOT_OF_NAMES = frozenset("/\\:\0")
"""Characters that lead out of a folder, here or on Windows, or that no file's name has."""


class FileSpec(Strict, frozen=True):
    """A file of the bundle as it was written."""

    size: Annotated[int, Meta(ge=0)]
    sha256: str


def leads_out(name: str) -> bool:
    """Whether a name is no plain one of a file in the folder where it is looked for."""
    return name in ("", ".", "..") or not _NOT_OF_NAMES.isdisjoint(name)


def refuse_link(path: Path) -> None:
    """Refuse a link out of the bundle; it may lead to where the Hugging Face hub keeps files.

    Raises:
        BundleError: It leads elsewhere.
    """
    if not path.is_symlink():
        return
    home, found = path.parent.resolve(), path.resolve()
    hub = (each.parent / "blobs" for each in home.parents if each.name == "snapshots")
    if not any(each in found.parents for each in (home, *hub)):
        copied = f"{shlex.quote(str(home))} {shlex.quote(f'{home.name}-copy')}"
        raise BundleError(
            f"{path} is a link that leads out of the bundle",
            f"if you trust what it leads to, copy that too: cp -rL {copied}",
        )


def has_hash(path: Path, expected: str) -> bool:
    """Read a file and tell whether it has this sha256."""
    return sha256(path) == expected


@dataclass(frozen=True)
class Source:
    """What says how files were written, and what to do where one is not so."""

    name: str
    remedy: str


MANIFEST = Source("the manifest", "copy or export the bundle again")


def compare(path: Path, spec: FileSpec, has: Has = has_hash, source: Source = MANIFEST) -> None:
    """Compare a file with what was written, and open none that is not the bundle's.

    Raises:
        BundleError: It is missing, another, or a link out of the bundle.
    """
    refuse_link(path)
    if not path.is_file():
        raise BundleError(f"{path} is missing", source.remedy)
    size = path.stat().st_size
    if size != spec.size:
        with path.open("rb") as file:
            refuse_lfs_pointer(file.read(32), path, BundleError)
        raise BundleError(f"{path} has {size} bytes, {source.name} says {spec.size}", source.remedy)
    if not has(path, spec.sha256):
        raise BundleError(
            f"{path} is not what was written: its sha256 is not what {source.name} says",
            source.remedy,
        )


def check_weights(graph: Path, own: Collection[str]) -> None:
    """Refuse a graph whose weights lie in other files, which who reads it would open.

    Args:
        graph: The `.onnx` file.
        own: Names of the bundle's files.

    Raises:
        BundleError: Names the file.
    """
    for name in weight_files(graph):
        if name not in own:
            raise BundleError(
                f"{graph} has weights in {quoted(name)}, which is not one of the bundle's "
                "own files",
                "export the bundle again",
            )


def sha256(path: Path) -> str:
    """Hash a file without holding it in memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
