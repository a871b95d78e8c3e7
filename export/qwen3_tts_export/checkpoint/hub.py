"""Download a checkpoint by its Hugging Face id: the one place of export that uses the network.

`huggingface_hub` decides where and whether: HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE mean
here what they mean everywhere.
"""

import re
from pathlib import Path

from qwen3_tts_edge.errors import CheckpointError

NEEDED_FILES = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "speech_tokenizer/*.json",
    "speech_tokenizer/model*.safetensors",
)


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
            exist or is gated, or nothing is cached and the hub cannot be reached.
    """
    try:
        from huggingface_hub import constants, errors, snapshot_download
    except ImportError as error:
        raise CheckpointError(
            f"downloading {hub_id} needs huggingface_hub",
            "run: pip install 'qwen3-tts-edge[hub]', or give a local folder",
        ) from error
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(NEEDED_FILES)))
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
