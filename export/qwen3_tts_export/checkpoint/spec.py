"""Hold a checkpoint to its spec, the file of `models/*.toml` that bears its name.

A checkpoint whose name is that of a spec is held to it when it opens, so an official name never
stands for other shapes. A checkpoint of another name (a fine-tune, a voice of one's own) is held to
its own config.json alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from qwen3_tts_edge.errors import CheckpointError, InputError
from qwen3_tts_export.checkpoint.weights import TensorFile, count

_PREFIX = "qwen3-tts-12hz-"


@dataclass(frozen=True)
class Spec:
    """One file of models/: who the checkpoint is, and what is asserted of it."""

    name: str
    hub: str
    codec: str | None
    """Name of the spec that speech_tokenizer/ is held to; None for the codec itself."""
    config: Mapping[str, Any]
    """Keys of config.json and the values they must have."""
    weights: Mapping[str, Mapping[str, int]]
    """Prefix of tensor names to `tensors` and `parameters`, the counts they must have."""
    unasserted: Mapping[str, Any]
    """Values nobody could verify, in the same layout: for random checkpoints."""


def models_folder() -> Path:
    """Return the folder of the specs: beside the package when installed, else the repository's."""
    installed = Path(__file__).parents[1] / "models"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "models"


def spec_names() -> list[str]:
    """Return the names of all specs, sorted."""
    return sorted(file.stem for file in models_folder().glob("*.toml"))


def find_spec(name: str) -> Spec | None:
    """Return the spec of a checkpoint name such as `Qwen3-TTS-12Hz-0.6B-Base`, or None."""
    stem = name.rsplit("/", 1)[-1].lower()
    if stem not in spec_names():
        return None
    file = models_folder() / f"{stem}.toml"
    values: Any = msgspec.toml.decode(file.read_bytes())
    return Spec(
        name=stem,
        hub=values["hub"],
        codec=values.get("codec"),
        config=values["config"],
        weights=values["weights"],
        unasserted=values.get("unasserted", {}),
    )


def load_spec(name: str) -> Spec:
    """Return a spec by its name, with or without the `qwen3-tts-12hz-` in front.

    Raises:
        InputError: There is no such spec; the message lists all.
    """
    spec = find_spec(name) or find_spec(_PREFIX + name)
    if spec is None:
        raise InputError(f"no spec is called {name!r}", f"choose one of {', '.join(spec_names())}")
    return spec


def check(spec: Spec, config: Mapping[str, Any], tensors: TensorFile, folder: Path) -> None:
    """Hold a config.json and the weights beside it to a spec.

    Args:
        spec: What is asserted.
        config: The content of config.json.
        tensors: The weights.
        folder: Where both lie, for messages.

    Raises:
        CheckpointError: Names the field, what was found and what was expected.
    """
    advice = "these are not the official files, download them again or rename the folder"
    for path, expected in _leaves(spec.config):
        found = _at(config, path)
        if found != expected:
            raise CheckpointError(
                f"{folder / 'config.json'}: {'.'.join(path)} is {found!r}, spec {spec.name} expects"
                f" {expected!r}",
                advice,
            )
    for prefix, expected in spec.weights.items():
        number, parameters = count(tensors, prefix)
        for field, found in (("tensors", number), ("parameters", parameters)):
            if found != expected[field]:
                raise CheckpointError(
                    f"{folder / 'model.safetensors'}: {prefix}* has {found} {field}, spec"
                    f" {spec.name} expects {expected[field]}",
                    advice,
                )


def _leaves(
    values: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
