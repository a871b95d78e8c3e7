"""Hold a checkpoint that bears an official name to the spec of that name.

An official name never stands for another network, other ids or other speakers. What cannot change
what is spoken, such as the version that wrote a file, is not compared; nor are sampling defaults,
which are anybody's to set. A checkpoint of another name (a fine-tune, a voice of one's own) is held
to its own config.json alone.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qwen3_tts_edge.errors import CheckpointError, quoted
from qwen3_tts_export.checkpoint.config_files import CODED_NAMES, KEYS_READ
from qwen3_tts_export.checkpoint.spec import Spec
from qwen3_tts_export.checkpoint.weights import TensorFile, count

_ADVICE = "these are not the official files, download them again or rename the folder"


def hold(spec: Spec, config: Mapping[str, Any], tensors: TensorFile, folder: Path) -> None:
    """Hold a config.json and the weights beside it to a spec.

    Args:
        spec: What is asserted.
        config: The content of config.json, which can be read.
        tensors: The weights.
        folder: Where both lie, for messages.

    Raises:
        CheckpointError: Names the field, what was found and what was expected.
    """
    for path, expected in _leaves(spec.contents["config.json"]):
        found = _at(config, path)
        if path[-1] in CODED_NAMES:
            found, expected = found or {}, expected or {}
        elif path[-1] not in KEYS_READ or found is None:
            continue  # what may be left out means what is implemented here
        if found != expected:
            raise CheckpointError(
                f"{folder / 'config.json'}: {'.'.join(path)} is {quoted(found)}, spec"
                f" {spec.name} expects {expected!r}",
                _ADVICE,
            )
    for prefix, expected in spec.weights.items():
        number, parameters = count(tensors, prefix)
        for field, found in (("tensors", number), ("parameters", parameters)):
            if found != expected[field]:
                raise CheckpointError(
                    f"{folder / 'model.safetensors'}: {prefix}* has {found} {field}, spec"
                    f" {spec.name} expects {expected[field]}",
                    _ADVICE,
                )


def _leaves(
    values: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and key not in CODED_NAMES:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
