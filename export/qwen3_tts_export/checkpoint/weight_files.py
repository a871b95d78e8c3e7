"""Which files hold a checkpoint's weights, and what lies there where none do."""

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec

from qwen3_tts_edge.errors import CheckpointError, quoted
from qwen3_tts_edge.hub import INDEX, is_below
from qwen3_tts_export.checkpoint.copies import refuse_copy_by_files
from qwen3_tts_export.checkpoint.identity import cure, identify
from qwen3_tts_export.checkpoint.json_file import convert, read_json

_UNFINISHED = (".incomplete", ".part", ".partial", ".aria2", ".crdownload", ".download", ".tmp")
"""What programs put behind the name of a file that they download."""

_SHARD = re.compile(r"-\d+-of-\d+\.safetensors$")


class _Index(msgspec.Struct):
    weight_map: Annotated[dict[str, Any], msgspec.Meta(min_length=1)]


def weight_files(folder: Path) -> list[Path]:
    """List the files that hold the weights in `folder`: one, or the shards that an index names.

    Raises:
        CheckpointError: They are not there, or what is there is no checkpoint's weights.
    """
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    index = folder / INDEX
    if not index.is_file():
        for file in (single, index):
            _refuse_dangling(file)
        refuse_copy_by_files(folder)
        _refuse_unfinished(folder)
        _refuse_other_names(folder)
        raise CheckpointError(
            f"{single} is missing; expected the weights of a Qwen3-TTS checkpoint",
            cure(single, "copy or save them there"),
        )
    shards = convert(read_json(index), _Index, str(index)).weight_map
    for name, shard in shards.items():
        if not is_below(shard):
            raise CheckpointError(
                f"{index}: {name} is in {quoted(shard)}, expected a safetensors file beside it or"
                " below",
                cure(index, "save the weights again"),
            )
    return sorted({folder / name for name in shards.values()})


def _refuse_dangling(file: Path) -> None:
    """Refuse a link whose end is not there: of a cache, some files were copied without others."""
    if file.is_symlink() and not file.exists():
        raise CheckpointError(
            f"{file} is a link to {file.readlink()}, which is not there",
            cure(file, "copy the folder with all that its links lead to, as cp -rL does"),
        )


def _refuse_unfinished(folder: Path) -> None:
    """Refuse weights that are still being downloaded, or were never wholly."""
    for ending in _UNFINISHED:
        for file in sorted(folder.glob(f"model*.safetensors{ending}")):
            raise CheckpointError(
                f"{folder} has no model.safetensors, but {file.name}: the download has not ended",
                "end it, or download it again",
            )


def _refuse_other_names(folder: Path) -> None:
    """Refuse weights that are there, and not where they are looked for: shards, or a file."""
    found = sorted(file for file in folder.glob("[!.]*.safetensors") if not file.is_dir())
    if not found:
        return
    missing = f"neither model.safetensors nor {INDEX}"
    remedy = "rename it to model.safetensors"
    if len(found) > 1 or _SHARD.search(found[0].name):
        remedy = f"copy {INDEX} there too, or save the weights again"
    if identify(folder)[1] is not None:  # so it is on the hub, too
        remedy = f"download it into a folder, as `hf download --local-dir` does, and there {remedy}"
    else:
        remedy = cure(folder / INDEX, remedy)
    raise CheckpointError(f"{folder} has {found[0].name} and {missing}", remedy)
