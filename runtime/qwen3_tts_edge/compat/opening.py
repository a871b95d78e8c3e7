"""What `from_pretrained` is given → a bundle: opened where it lies, or exported once into a cache.

The cache is the folder `bundles` in this program's own, see `cache`.
The command `qwen3-tts-export` exports, in a process of its own: PyTorch is never loaded here.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from qwen3_tts_edge.bundle.head import FILE, FORMAT
from qwen3_tts_edge.bundle.manifest import load_codec
from qwen3_tts_edge.bundle.names import CUDA, FP32, INT8, ORT
from qwen3_tts_edge.cache import cache_folder
from qwen3_tts_edge.compat.loading import (
    Loading,
    backend,
    check,
    check_gpu,
    flavour,
    hub,
    precision,
)
from qwen3_tts_edge.compat.options import ArgumentError, shown
from qwen3_tts_edge.errors import BundleError, InputError
from qwen3_tts_edge.hub import download, is_hub_id, shards
from qwen3_tts_edge.paths import expanded

_LOOKED_AT = ("*.json", "*.txt", "*.safetensors", "speech_tokenizer/*")
_SAMPLES, _SAMPLE = 256, 4096

_log = logging.getLogger(__name__)


def bundle(source: str | Path, loading: Loading) -> tuple[Path, str]:
    """Find or make the bundle of a model, and choose what runs it.

    Args:
        source: A bundle, an official checkpoint folder, or a hub id such as
            `Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice`.
        loading: What `from_pretrained` was given.

    Returns:
        The bundle's folder, and one of `backends.BACKENDS`.

    Raises:
        ArgumentError: `source` is no path and no string, or a keyword argument is not known.
        InputError: `source` is none of these, or what was asked for is unknown or not the bundle's.
        BackendError: There is nothing here for the device.
        CheckpointError: The hub does not give the checkpoint, or not whole.
        BundleError: Exporting failed; says why.
    """
    check(loading)
    if not isinstance(source, str | os.PathLike):
        raise ArgumentError(f"the model is a {type(source).__name__}; expected a path or a hub id")
    wanted, asked = flavour(loading), precision(loading)
    folder = expanded(source, "the model")
    here = os.path.isdir(folder)  # noqa: PTH112 - of too long a name the other raises
    if here and loading.get("revision") is not None:
        raise InputError(f"{shown(folder)} is a folder", "a revision belongs to a hub id")
    if here and (folder / FILE).is_file():
        found = load_codec(folder)
        if asked == FP32 != found.precision:
            raise InputError(
                f"dtype is float32, the bundle {shown(folder)} is in {found.precision}",
                "leave dtype out, or give a bundle in fp32 or the checkpoint itself",
            )
        return folder, backend(wanted, found.flavour, shown(folder))
    if wanted == CUDA:
        check_gpu()
    kind = Kind(asked or INT8, wanted or ORT)
    if here:
        name = folder.resolve().name
    else:
        hub_id = str(source).rstrip("/")
        name = hub_id.rsplit("/", 1)[-1]
        if not is_hub_id(hub_id):
            raise InputError(f"{shown(hub_id)} is not a folder, nor a hub id such as owner/name")
        if not any(_cache().glob(f"{name}-*-{kind}")):
            _command(hub_id)  # before gigabytes are downloaded
        folder = download(hub_id, **hub(loading))
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{shown(folder)} is neither a bundle (no {FILE}) nor a checkpoint (no config)"
        )
    made = _cache() / f"{name}-{_fingerprint(folder)[:16]}-{kind}"
    if not (made / FILE).is_file():
        _export(folder, made, kind)
    return made, backend(wanted, kind.flavour, shown(made))


class Kind(NamedTuple):
    """A precision and a flavour, as `qwen3-tts-export` calls them."""

    precision: str
    flavour: str = ORT

    def __str__(self) -> str:
        return self.precision if self.flavour == ORT else f"{self.precision}-{self.flavour}"


def _cache() -> Path:
    return cache_folder() / "bundles"


def _fingerprint(folder: Path) -> str:
    """Tell this checkpoint from others in a moment: names, sizes, and samples of every file.

    Training moves every tensor, so it shows; it is no proof against somebody who hides a change.
    """
    total = hashlib.sha256(f"bundle format {FORMAT}".encode())
    wanted = (*_LOOKED_AT, *shards(folder))
    found = {path for each in wanted for path in folder.glob(each)}
    for path in sorted(filter(Path.is_file, found)):  # a download leaves its folder .cache there
        size = path.stat().st_size
        total.update(f"\0{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        with path.open("rb") as file:
            for start in sorted({size * part // _SAMPLES for part in range(_SAMPLES)}):
                file.seek(start)
                total.update(file.read(_SAMPLE))
    return total.hexdigest()


def _command(checkpoint: str | Path) -> str:
    """Find `qwen3-tts-export`, or say that a checkpoint cannot be spoken from without it."""
    here = str(Path(sys.executable).parent)
    command = shutil.which("qwen3-tts-export", path=here) or shutil.which("qwen3-tts-export")
    if command is None:
        raise BundleError(
            f"{checkpoint} must be exported once, and the command qwen3-tts-export is not there",
            'run: pip install "qwen3-tts-edge[export]", or export it elsewhere and give the bundle',
        )
    return command


def _export(checkpoint: Path, made: Path, kind: Kind) -> None:
    """Run `qwen3-tts-export bundle`; the bundle appears whole, or not at all."""
    command = _command(checkpoint)
    _log.warning("exporting %s into %s, once; this takes minutes", checkpoint, made)
    arguments = ["bundle", str(checkpoint), "-o", str(made)]
    arguments += ["--precision", kind.precision, "--flavour", kind.flavour]
    with subprocess.Popen(
        [command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as export:
        try:
            _, said = export.communicate()
        except BaseException:
            export.terminate()  # and wait: it leaves nothing behind
            raise
    # Where another process was at it too, this one has waited, and found that it is there.
    if export.returncode and not (made / FILE).is_file():
        reason = (said.strip().splitlines() or ["it says nothing"])[-1]
        raise BundleError(f"{checkpoint} could not be exported: {reason.removeprefix('error: ')}")
