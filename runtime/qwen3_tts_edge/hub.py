"""Download a checkpoint by its Hugging Face id: the one place that fetches one, for both packages.

`huggingface_hub` decides where and whether: HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE mean
here what they mean everywhere. What comes is hashed once, when it comes.
"""

import glob
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from qwen3_tts_edge.bundle.own_files import sha256
from qwen3_tts_edge.errors import CheckpointError, lack, shortened
from qwen3_tts_edge.files import NOT_JSON
from qwen3_tts_edge.paths import expanded

INDEX = "model.safetensors.index.json"
"""Says in which files the weights beside it or below are, where one did not hold them."""

TEXTS = (
    "config.json",
    "configuration.json",
    "generation_config.json",
    "preprocessor_config.json",
    "adapter_config.json",
    INDEX,
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "tokenizer.json",
    "speech_tokenizer/*.json",
)
"""The small files of a checkpoint."""

WEIGHTS = ("model*.safetensors", "speech_tokenizer/model*.safetensors")
"""How weights are called, but for those that an index calls otherwise: see `shards`."""


def is_hub_id(source: str) -> bool:
    """Tell whether `source` looks like `owner/name`."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", source) is not None


_LONGEST_NAME = 255
"""Bytes: no file system has longer ones."""


class _Index(msgspec.Struct):
    weight_map: dict[str, Any]


def shards(folder: Path) -> list[str]:
    """List the files that the indices in a checkpoint's folder name, as patterns.

    One that cannot be read names none; whoever opens the checkpoint says what is wrong with it.
    """
    patterns = []
    for index in (folder / INDEX, folder / "speech_tokenizer" / INDEX):
        with suppress(OSError, *NOT_JSON):
            named = msgspec.json.decode(index.read_bytes(), type=_Index).weight_map.values()
            files = {index.parent / name for name in named if is_below(name)}
            patterns += sorted(glob.escape(file.relative_to(folder).as_posix()) for file in files)
    return patterns


def is_below(name: object) -> bool:
    """Tell whether a name in an index leads to a file of weights beside it or below."""
    if not isinstance(name, str) or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        return False
    path = PurePosixPath(name)
    out = path.is_absolute() or ".." in path.parts or "\\" in name
    return path.suffix == ".safetensors" and not out


def download(
    hub_id: str,
    published: Callable[[Path], Mapping[str, str]] = lambda _: {},
    *,
    weights: bool = True,
    **asked: Any,
) -> Path:
    """Return the local folder of a checkpoint, downloading what is not cached yet.

    Args:
        hub_id: `owner/name`, such as `Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice`.
        published: Says of a folder which sha256 its files are known to have; the others have those
            that the hub says.
        weights: Whether they are wanted, or the small files alone.
        **asked: What `huggingface_hub.snapshot_download` takes, such as `revision` and `cache_dir`.

    Raises:
        InputError: `cache_dir` is no path.
        CheckpointError: `huggingface_hub` is not installed, the repository or revision does not
            exist or is gated, nothing is cached and the hub cannot be reached, or a file that came
            is not the one that was published.
    """
    if asked.get("cache_dir") is not None:
        asked["cache_dir"] = str(expanded(asked["cache_dir"], "cache_dir"))
    with refusals(hub_id, asked.get("revision"), asked.get("cache_dir")):
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

        cache = Path(asked.get("cache_dir") or constants.HF_HUB_CACHE)
        place = cache / f"models--{hub_id.replace('/', '--')}"
        had = set() if asked.get("force_download") else set(place.resolve().rglob("*"))
        wanted = [*TEXTS, *WEIGHTS] if weights else [*TEXTS]
        folder = Path(snapshot_download(hub_id, allow_patterns=wanted, **asked))
        others = [file for file in shards(folder) if not any(folder.glob(file))]
        if weights and others:
            snapshot_download(hub_id, allow_patterns=others, **asked)
    came = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    came = [file for file in came if file.resolve() not in had]
    if not came:
        return folder
    known = published(folder)
    for file in tqdm(came, desc="Comparing hashes"):  # type: ignore[no-untyped-call]
        _refuse_other(file, known.get(file.relative_to(folder).as_posix()))
    return folder


def _refuse_other(file: Path, expected: str | None) -> None:
    """Refuse a file that is not what was published, or not what the hub has named it after.

    That is the sha256 of a large file, and git's own hash of a small one. It is removed from the
    cache, so that the next download brings it again.
    """
    blob = file.resolve()
    kind, found = "sha256", ""
    if expected is None and re.fullmatch(r"[0-9a-f]{40}", blob.name):
        kind, expected, found = "git hash", blob.name, _git_hash(file.read_bytes())
    elif expected is None and re.fullmatch(r"[0-9a-f]{64}", blob.name):
        expected = blob.name
    if expected is None or (found := found or sha256(file)) == expected:
        return
    file.unlink()
    blob.unlink(missing_ok=True)
    raise CheckpointError(
        f"{file} has come with the {kind} {found}, expected {expected}: it was damaged on the way,"
        " and is removed",
        "download it again",
    )


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextmanager
def refusals(hub_id: str, revision: str | None, cache: str | None = None) -> Iterator[None]:
    """Say in one line why the hub does not give a checkpoint.

    Args:
        hub_id: The checkpoint.
        revision: That was asked for.
        cache: Where downloads are kept; None is the hub's own place.

    Raises:
        CheckpointError: In the place of what its libraries raise.
    """
    try:
        from huggingface_hub import constants, errors
    except ImportError as error:
        raise CheckpointError(
            f"downloading {hub_id} needs huggingface_hub, which {lack(error)}",
            'run: pip install "qwen3-tts-edge[hub]", or give a local folder',
        ) from error
    try:
        yield
    except CheckpointError:
        raise
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{hub_id} is gated",
            f"accept its terms at {constants.ENDPOINT}/{hub_id} and set HF_TOKEN, or run "
            "`hf auth login`",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f"{hub_id} has no revision {revision!r}") from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{hub_id} was not found on {constants.ENDPOINT}",
            "check the name, or set HF_TOKEN if it is private",
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        why = (
            "HF_HUB_OFFLINE is set"
            if constants.HF_HUB_OFFLINE
            else f"{constants.ENDPOINT} cannot be reached"
        )
        raise CheckpointError(
            f"{hub_id} is not in the cache {cache or constants.HF_HUB_CACHE} and {why}",
            "download it once with a connection, or give a local folder",
        ) from error
    except Exception as error:  # of several packages
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(f"{hub_id} could not be downloaded: {shortened(lines[0])}") from error
