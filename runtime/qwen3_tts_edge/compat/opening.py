"""What `from_pretrained` is given → a bundle: opened where it lies, or exported once into a cache.

The cache is the folder `bundles` in this program's cache, where the platform keeps such:
`~/.cache/qwen3-tts-edge` on Linux. The environment variable QWEN3_TTS_EDGE_CACHE names another.
The command `qwen3-tts-export` exports, in a process of its own: PyTorch is never loaded here.
"""

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from qwen3_tts_edge.backends import AUTO, ORT_CPU
from qwen3_tts_edge.bundle.manifest import FILE, FORMAT, load_codec
from qwen3_tts_edge.bundle.names import FP32, INT8
from qwen3_tts_edge.compat.options import ArgumentError
from qwen3_tts_edge.errors import BackendError, BundleError, InputError

CACHE = "QWEN3_TTS_EDGE_CACHE"

# A number format other than float32 asks for less memory and more speed, which is int8's part.
_PRECISIONS = {
    "float32": FP32,
    "float": FP32,
    "bfloat16": INT8,
    "float16": INT8,
    "half": INT8,
    "int8": INT8,
    "auto": INT8,
}
_DEVICES = {"cpu": ORT_CPU, "auto": AUTO}
_ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")

_WANTED_FILES = ["*.json", "*.txt", "*.safetensors", "speech_tokenizer/*"]
_SAMPLES, _SAMPLE = 256, 4096

_log = logging.getLogger(__name__)


def backend(device_map: Any) -> str:
    """Choose the backend that runs where `device_map` says.

    Args:
        device_map: None, a name, a torch device, or a mapping of everything to one of them.

    Raises:
        BackendError: There is none for it.
    """
    where = device_map
    if isinstance(where, dict):
        places = {str(place) for place in where.values()}
        where = places.pop() if len(places) == 1 else where
    name = "auto" if where is None else str(where)
    if name not in _DEVICES:
        raise BackendError(
            f"device_map is {name!r}, and here is no backend for it", f"use {' or '.join(_DEVICES)}"
        )
    return _DEVICES[name]


def check_attention(name: str | None) -> None:
    """Refuse an attention that upstream does not know either; the known ones change nothing here.

    Raises:
        InputError: Says which are known.
    """
    if name is not None and name not in _ATTENTION:
        raise InputError(
            f"attn_implementation is {name!r}",
            f"use one of {', '.join(_ATTENTION)}, or leave it out",
        )


def bundle(source: str | Path, *, dtype: Any = None, revision: str | None = None) -> Path:
    """Find or make the bundle of a model.

    Args:
        source: A bundle, an official checkpoint folder, or a hub id such as
            `Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice`.
        dtype: float32 is the precision fp32, any other the precision int8; a bundle has its own.
        revision: Of a hub id.

    Raises:
        ArgumentError: `source` is no path and no string.
        InputError: `source` is none of these, or `dtype` is unknown or not the bundle's.
        BundleError: Exporting failed; says why.
    """
    if not isinstance(source, str | os.PathLike):
        raise ArgumentError(f"the model is a {type(source).__name__}; expected a path or a hub id")
    precision = _precision(dtype)
    folder = Path(source).expanduser()
    if revision is not None and folder.is_dir():
        raise InputError(f"{folder} is a folder", "a revision belongs to a hub id")
    if (folder / FILE).is_file():
        found = load_codec(folder).precision
        if precision == FP32 != found:
            raise InputError(
                f"dtype is float32, the bundle {folder} is in {found}",
                "leave dtype out, or give a bundle in fp32 or the checkpoint itself",
            )
        return folder
    name = folder.resolve().name
    if not folder.is_dir():
        folder, name = _download(str(source), revision), str(source).rsplit("/", 1)[-1]
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} is neither a bundle (no {FILE}) nor a checkpoint (no config)")
    made = _cache() / f"{name}-{_fingerprint(folder)[:16]}-{precision or INT8}"
    if not (made / FILE).is_file():
        _export(folder, made, precision or INT8)
    return made


def _precision(dtype: Any) -> str | None:
    if dtype is None:
        return None
    name = getattr(dtype, "__name__", str(dtype)).removeprefix("torch.")
    if name not in _PRECISIONS:
        raise InputError(f"dtype is {name!r}", f"use one of {', '.join(_PRECISIONS)}")
    return _PRECISIONS[name]


def _cache() -> Path:
    named = os.environ.get(CACHE)
    folder = Path(named).expanduser() if named else user_cache_path("qwen3-tts-edge", False)
    return folder / "bundles"


def _download(source: str, revision: str | None) -> Path:
    """A checkpoint of the hub, in its own cache; HF_HOME, HF_TOKEN and the rest mean the usual."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", source):
        raise InputError(f"{source} is not a folder, nor a hub id such as owner/name")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise InputError(
            f"{source} is not a folder, and downloading it needs huggingface_hub",
            "run: pip install 'qwen3-tts-edge[hub]', or give a folder",
        ) from error
    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=_WANTED_FILES))
    except Exception as error:  # its errors come from several packages
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{source} could not be downloaded: {reason}") from error


def _fingerprint(folder: Path) -> str:
    """Tell this checkpoint from others in a moment: names, sizes, and samples of every file.

    Training moves every tensor, so it shows; it is no proof against somebody who hides a change.
    """
    total = hashlib.sha256(f"bundle format {FORMAT}".encode())
    for path in sorted({path for wanted in _WANTED_FILES for path in folder.glob(wanted)}):
        size = path.stat().st_size
        total.update(f"\0{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        with path.open("rb") as file:
            for start in sorted({size * part // _SAMPLES for part in range(_SAMPLES)}):
                file.seek(start)
                total.update(file.read(_SAMPLE))
    return total.hexdigest()


def _export(checkpoint: Path, made: Path, precision: str) -> None:
    """Run `qwen3-tts-export bundle`; the bundle appears whole, or not at all."""
    here = str(Path(sys.executable).parent)
    command = shutil.which("qwen3-tts-export", path=here) or shutil.which("qwen3-tts-export")
    if command is None:
        raise BundleError(
            f"{checkpoint} must be exported once, and the command qwen3-tts-export is not there",
            "run: pip install 'qwen3-tts-edge[export]', or export it elsewhere and give the bundle",
        )
    _log.warning("exporting %s into %s, once; this takes minutes", checkpoint, made)
    arguments = ["bundle", str(checkpoint), "-o", str(made), "--precision", precision]
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
