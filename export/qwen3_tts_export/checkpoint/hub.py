"""Download a checkpoint by its Hugging Face id: the one place of export that uses the network.

`huggingface_hub` decides where and whether: HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE mean
here what they mean everywhere. What comes is hashed once, when it comes.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qwen3_tts_edge.bundle.own_files import sha256
from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.identity import identify
from qwen3_tts_export.checkpoint.safetensors_header import write_empty
from qwen3_tts_export.checkpoint.spec import published_files

TEXTS = (
    "config.json",
    "configuration.json",
    "generation_config.json",
    "preprocessor_config.json",
    "adapter_config.json",
    "model.safetensors.index.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "tokenizer.json",
    "speech_tokenizer/*.json",
)
"""The small files of a checkpoint."""

WEIGHTS = ("model*.safetensors", "speech_tokenizer/model*.safetensors")


def is_hub_id(source: str) -> bool:
    """Tell whether `source` looks like `owner/name`."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", source) is not None


def download(hub_id: str, revision: str | None = None) -> Path:
    """Return the local folder of a checkpoint, downloading what is not cached yet.

    Args:
        hub_id: `owner/name`, such as `Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice`.
        revision: A branch, tag or commit; the repository's main branch if None.

    Raises:
        CheckpointError: `huggingface_hub` is not installed, the repository or revision does not
            exist or is gated, nothing is cached and the hub cannot be reached, or a file that came
            is not the one that was published.
    """
    with _refusals(hub_id, revision):
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

        cache = Path(constants.HF_HUB_CACHE) / f"models--{hub_id.replace('/', '--')}"
        had = set(cache.rglob("*"))
        wanted = [*TEXTS, *WEIGHTS]
        folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=wanted))
    came = [file for file in sorted(folder.rglob("*")) if file.resolve() not in had]
    if not came:
        return folder
    for file in tqdm(came, desc="Comparing hashes"):  # type: ignore[no-untyped-call]
        if file.is_file():
            _refuse_other(file, folder)
    return folder


def cached(hub_id: str, revision: str | None = None) -> Path | None:
    """Return the folder of a checkpoint whose weights were downloaded before, or None."""
    with _refusals(hub_id, revision):
        from huggingface_hub import errors, snapshot_download

        try:
            folder = Path(snapshot_download(hub_id, revision=revision, local_files_only=True))
        except errors.LocalEntryNotFoundError:
            return None
    return folder if any(folder.glob("model*.safetensors")) else None


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
    with _refusals(hub_id, revision):
        from huggingface_hub import HfApi, snapshot_download

        small = Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(TEXTS)))
        api, (_, commit) = HfApi(), identify(small)
        info = api.model_info(hub_id, revision=commit, files_metadata=True)
        folder = into.joinpath(*small.parts[-3:])
        hashes = {}
        for sibling in info.siblings or []:
            name = sibling.rfilename
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if (small / name).is_file():
                place.write_bytes((small / name).read_bytes())
            elif any(Path(name).match(pattern) for pattern in WEIGHTS) and name.count("/") < 2:
                header = api.parse_safetensors_file_metadata(hub_id, name, revision=commit)
                entries = {key: vars(entry) for key, entry in header.tensors.items()}
                write_empty(place, entries, header.metadata)
                if sibling.lfs is not None:
                    hashes[name] = sibling.lfs.sha256
            else:
                place.touch()  # its name tells of another format
    return Outline(folder, hashes)


def _refuse_other(file: Path, folder: Path) -> None:
    """Refuse a file that is not what was published, or not what the hub has named it after.

    It is removed from the cache, so that the next download brings it again.
    """
    blob, name = file.resolve(), file.relative_to(folder).as_posix()
    expected = published_files(*identify(folder)).get(name)
    if expected is None and re.fullmatch(r"[0-9a-f]{64}", blob.name):
        expected = blob.name
    if expected is not None and (found := sha256(file)) != expected:
        file.unlink()
        blob.unlink(missing_ok=True)
        raise CheckpointError(
            f"{file} has come with the sha256 {found}, expected {expected}: it was damaged on the"
            " way, and is removed",
            "download it again",
        )


@contextmanager
def _refusals(hub_id: str, revision: str | None) -> Iterator[None]:
    """Say in one line why the hub does not give a checkpoint."""
    try:
        from huggingface_hub import constants, errors
    except ImportError as error:
        raise CheckpointError(
            f"downloading {hub_id} needs huggingface_hub",
            'run: pip install "qwen3-tts-edge[hub]", or give a local folder',
        ) from error
    try:
        yield
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
            f"{hub_id} is not in the cache {constants.HF_HUB_CACHE} and {why}",
            "download it once with a connection, or give a local folder",
        ) from error
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(f"{hub_id} could not be downloaded: {reason[0]}") from error
