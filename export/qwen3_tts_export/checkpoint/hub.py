"""The hub's checkpoints by their Hugging Face id: whole, as cached, or in outline."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_edge.hub import TEXTS, WEIGHTS, refusals, shards
from qwen3_tts_edge.hub import download as downloaded
from qwen3_tts_export.checkpoint.identity import identify
from qwen3_tts_export.checkpoint.safetensors_header import write_empty
from qwen3_tts_export.checkpoint.spec import CODEC_FOLDER, published_files
from qwen3_tts_export.checkpoint.weight_files import weight_files


def download(hub_id: str, revision: str | None = None) -> Path:
    """Return the local folder of a checkpoint, downloading what is not cached yet.

    Args:
        hub_id: `owner/name`, such as `Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice`.
        revision: A branch, tag or commit; the repository's main branch if None.

    Raises:
        CheckpointError: As for `qwen3_tts_edge.hub.download`, or there are no weights of a
            checkpoint.
    """
    folder = downloaded(hub_id, _published, revision=revision)
    if not _has_weights(folder):
        _refuse_what_is_there(hub_id, revision)
    return folder


def small_files(hub_id: str, revision: str | None = None) -> Path:
    """Return the local folder of a checkpoint without its weights, if they are not cached yet.

    Raises:
        CheckpointError: As for `qwen3_tts_edge.hub.download`.
    """
    return downloaded(hub_id, _published, weights=False, revision=revision)


def _published(folder: Path) -> Mapping[str, str]:
    return published_files(*identify(folder))


def cached(hub_id: str, revision: str | None = None) -> Path | None:
    """Return the folder of a checkpoint whose weights were downloaded before, or None."""
    with refusals(hub_id, revision):
        from huggingface_hub import errors, snapshot_download

        try:
            folder = Path(snapshot_download(hub_id, revision=revision, local_files_only=True))
        except errors.LocalEntryNotFoundError:
            return None
    return folder if _has_weights(folder) else None


def _has_weights(folder: Path) -> bool:
    patterns = (WEIGHTS[0], *shards(folder))
    return any(file.parent.name != CODEC_FOLDER for each in patterns for file in folder.glob(each))


def _refuse_what_is_there(hub_id: str, revision: str | None) -> None:
    """Say what a repository has in the place of weights, by the names of all its files."""
    with tempfile.TemporaryDirectory() as aside:
        folder = outline(hub_id, revision, Path(aside)).folder
        try:
            weight_files(folder)
        except CheckpointError as error:
            raise type(error)(error.found.replace(str(folder), hub_id), error.remedy) from error


@dataclass(frozen=True)
class Outline:
    """A checkpoint on the hub without the values of its weights."""

    folder: Path
    """All small files, and the weights with their headers and holes."""
    sha256: Mapping[str, str]
    """What the hub says of the weights, by file."""


def outline(hub_id: str, revision: str | None, into: Path) -> Outline:
    """Download what tells a checkpoint from others: a few megabytes.

    Args:
        hub_id: As for `download`.
        revision: As for `download`.
        into: An empty folder; files of the weights' size appear in it, which take no room where the
            file system knows holes.

    Raises:
        CheckpointError: As for `download`.
    """
    with refusals(hub_id, revision):
        from huggingface_hub import HfApi, snapshot_download

        small = Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(TEXTS)))
        api, (_, commit) = HfApi(), identify(small)
        info = api.model_info(hub_id, revision=commit, files_metadata=True)
        folder, patterns = into.joinpath(*small.parts[-3:]), (*WEIGHTS, *shards(small))
        hashes = {}
        for sibling in info.siblings or []:
            name = sibling.rfilename
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if (small / name).is_file():
                place.write_bytes((small / name).read_bytes())
            elif any(fnmatch(name, pattern) for pattern in patterns):
                header = api.parse_safetensors_file_metadata(hub_id, name, revision=commit)
                entries = {key: vars(entry) for key, entry in header.tensors.items()}
                write_empty(place, entries, header.metadata)
                if sibling.lfs is not None:
                    hashes[name] = sibling.lfs.sha256
            else:
                place.touch()  # its name tells of another format
    return Outline(folder, hashes)
