"""Read JSON files, with errors that name the file and the key."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from qwen3_tts_edge.errors import CheckpointError, reason, refuse_lfs_pointer, shortened
from qwen3_tts_export.checkpoint.identity import cure

T = TypeVar("T")


def read_json(file: Path) -> dict[str, Any]:
    """Read one JSON object from disk.

    Raises:
        CheckpointError: The file is missing, is not JSON, or is not an object.
    """
    try:
        data = file.read_bytes()
        refuse_lfs_pointer(data, file, CheckpointError)
        value = json.loads(data.decode("utf-8-sig"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{file} is missing; expected a Qwen3-TTS checkpoint folder"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{file} is not readable JSON ({reason(error)})", cure(file, "copy or save it again")
        ) from error
    if not isinstance(value, dict):
        raise CheckpointError(
            f"{file} holds {shortened(json.dumps(value))}, expected a JSON object",
            cure(file, "copy or save it again"),
        )
    return value


def convert(values: Mapping[str, Any], kind: type[T], file: str, at: str = "") -> T:
    """Turn a JSON object into a struct.

    Args:
        values: The object.
        kind: The struct. Keys that it does not have are ignored.
        file: Where the object stands, for messages.
        at: Under which key it stands there, for messages.

    Raises:
        CheckpointError: A key is missing, or a value is not what the struct says of it.
    """
    try:
        return msgspec.convert(values, kind)
    except UnicodeEncodeError:
        raise CheckpointError(
            f"{file}: {at or 'a text'} is not valid Unicode", cure(file, "correct it")
        ) from None
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        path = path.replace("[...]", "")  # of a mapping's value the key is not told
        keys = [key for key in path.rstrip("`").split(".") if key]
        where = ": ".join(part for part in (file, ".".join([at, *keys]).strip(".")) if part)
        if error.__cause__ is not None:  # a struct's own check, which says all there is to say
            raise CheckpointError(f"{where}: {shortened(said)}") from None
        if said.startswith("Expected"):
            where += f" is {shortened(json.dumps(_under(values, keys)))}"
        advice = cure(file, "correct it, or take that of the checkpoint it was trained from")
        raise CheckpointError(f"{where}: {said}", advice) from None


def _under(values: Any, keys: list[str]) -> Any:
    """Look a path up as far as it is one."""
    for key in keys:
        values = values.get(key.partition("[")[0])
        if "[" in key:
            break
    return values
