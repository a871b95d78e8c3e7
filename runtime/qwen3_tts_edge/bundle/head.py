"""The head of a manifest, which is the same in every format; and what to do about other formats."""

import shlex
from pathlib import Path

import msgspec

from qwen3_tts_edge.bundle.names import INT8, ORT
from qwen3_tts_edge.errors import BundleError, reason
from qwen3_tts_edge.files import NOT_JSON

FORMAT = 2
"""Rises whenever a bundle of the old format would be read wrongly."""

FILE = "manifest.json"


class _Origin(msgspec.Struct):
    model_type: str
    name: str = "CHECKPOINT"


class Head(msgspec.Struct):
    """What manifests of every format say, and what bundles were made with before they said it."""

    format: int
    checkpoint: _Origin
    precision: str = INT8
    flavour: str = ORT


def read_head(folder: Path) -> tuple[bytes, Head]:
    """Read `manifest.json`, and refuse it where its format is another.

    Returns:
        Its bytes, and what they say in every format.

    Raises:
        BundleError: There is none, it is damaged, or of another format.
    """
    path = folder / FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{folder} is not a bundle: no {FILE} ({error.strerror})",
            _making(folder),
        ) from error
    try:
        head = msgspec.json.decode(data, type=Head)
    except NOT_JSON as error:
        raise damaged(path, reason(error)) from error
    if head.format < FORMAT:
        raise BundleError(
            f"{path} is of format {head.format}, this version reads format {FORMAT}",
            f"make it new: {_command_of(folder, head)}",
        )
    if head.format > FORMAT:
        raise BundleError(
            f"{path} is of format {head.format}, this version reads format {FORMAT}",
            "run: pip install --upgrade qwen3-tts-edge",
        )
    return data, head


def damaged(path: Path, what: str) -> BundleError:
    """Make the error of a manifest whose content is wrong."""
    return BundleError(f"{path} is damaged: {what}", "export the bundle again")


def _making(folder: Path) -> str:
    """Say how a bundle comes of what was given in place of one."""
    if folder.name == FILE and folder.is_file():
        return f"name its folder: {folder.parent}"
    if inside := sorted(path.parent for path in folder.glob(f"*/{FILE}")):
        return f"there is one inside: {inside[0]}"
    given, to = "CHECKPOINT", "DIR"
    if (folder / "config.json").exists():
        given, to = str(folder), f"{folder}-bundle"
    elif not folder.exists() and not folder.is_absolute() and len(folder.parts) == 2:  # of a hub
        given, to = folder.as_posix(), folder.name
    return f"make one: qwen3-tts-export bundle {shlex.quote(given)} -o {shlex.quote(to)}"


def _command_of(folder: Path, head: Head) -> str:
    """Give the command that made a bundle. A manifest may hold what a shell would run."""
    to = f"{folder.absolute().name}-{FORMAT}"
    made = ("--precision", head.precision, "--flavour", head.flavour, "-o", to)
    return shlex.join(["qwen3-tts-export", "bundle", _source(head.checkpoint.name), *made])


def _source(checkpoint: str) -> str:
    """Where a checkpoint comes from: those of Qwen have their own name on the hub."""
    return f"Qwen/{checkpoint}" if checkpoint.startswith("Qwen3-TTS-") else checkpoint
