"""The files of `models/*.toml`: what was published under each official name.

A spec is facts: who the checkpoint is, what its small files hold, how many tensors there are, size
and sha256 of every file. What five checkpoints have in common stands once, in the file of their
family, which is no spec itself.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from qwen3_tts_edge.errors import InputError

CODEC_FOLDER = "speech_tokenizer"
_PREFIX = "qwen3-tts-12hz-"


class PublishedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a published revision."""

    size: int
    """Bytes."""
    sha256: str
    metadata: Mapping[str, str] | None = None
    """What the header of a safetensors file says beside its tensors."""


class ByHand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where published JSON is not what `json.dump(…, indent=2)` and a line feed write."""

    deeper: tuple[str, ...] = ()
    """Keys whose object is indented by two blanks more."""
    over_two_lines: tuple[str, ...] = ()
    """Keys whose object opens and closes on two lines although it is empty."""
    on_one_line: tuple[str, ...] = ()
    """Whole files."""
    without_line_feed: tuple[str, ...] = ()
    """Files that end without one."""


class TokenizerFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The text tokenizer, as far as it can be told without its vocabulary."""

    symbols: int
    merges: int
    added: tuple[str, ...]
    """Tokens whose ids follow those of the symbols."""
    words: tuple[str, ...]
    """Those of them that are no control tokens."""


@dataclass(frozen=True)
class Spec:
    """One file of models/, laid on its family's."""

    name: str
    hub: str
    revision: str
    """The commit that the hub's main branch was at."""
    codec: str | None
    """Name of the spec that speech_tokenizer/ is held to; None for the codec itself."""
    contents: Mapping[str, Mapping[str, Any]]
    """What the JSON files hold, by file name, in the order of their keys."""
    by_hand: ByHand
    tokenizer: TokenizerFacts | None
    """None for the codec, which reads no text."""
    weights: Mapping[str, Mapping[str, int]]
    """Prefix of tensor names to `tensors` and `parameters`, the counts they must have."""
    files: Mapping[str, PublishedFile]
    """By name; of speech_tokenizer/ see the codec's spec."""


def models_folder() -> Path:
    """Return the folder of the specs: beside the package when installed, else the repository's."""
    installed = Path(__file__).parents[1] / "models"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "models"


@cache
def spec_names() -> tuple[str, ...]:
    """Return the names of all specs, sorted."""
    return tuple(sorted(name for name, values in _all_values().items() if "hub" in values))


def find_spec(name: str) -> Spec | None:
    """Return the spec of a checkpoint name such as `Qwen3-TTS-12Hz-0.6B-Base`, or None."""
    stem = name.rsplit("/", 1)[-1].lower()
    return _spec(stem) if stem in spec_names() else None


def load_spec(name: str) -> Spec:
    """Return a spec by its name, with or without the `qwen3-tts-12hz-` in front.

    Raises:
        InputError: There is no such spec; the message lists all.
    """
    spec = find_spec(name) or find_spec(_PREFIX + name)
    if spec is None:
        raise InputError(f"no spec is called {name!r}", f"choose one of {', '.join(spec_names())}")
    return spec


def published_files(name: str, revision: str | None) -> dict[str, str]:
    """Return the sha256 of every file of a published revision, by path; {} if it is none.

    Args:
        name: Of the checkpoint.
        revision: The commit.
    """
    spec = find_spec(name)
    if spec is None or revision != spec.revision:
        return {}
    return {file: fact.sha256 for file, fact in all_files(spec).items()}


def all_files(spec: Spec) -> dict[str, PublishedFile]:
    """Return every published file by its path, those in speech_tokenizer/ included."""
    if spec.codec is None:
        return dict(spec.files)
    codec = load_spec(spec.codec).files
    return {**spec.files, **{f"{CODEC_FOLDER}/{file}": fact for file, fact in codec.items()}}


@cache
def _spec(stem: str) -> Spec:
    values = _all_values()[stem]
    if "family" in values:
        values = _merged(_all_values()[values["family"]], values)
    files = msgspec.convert(values["files"], dict[str, PublishedFile])
    before = values.get("before", {})
    facts = values.get("tokenizer")
    tokenizer = None if facts is None else msgspec.convert(facts, TokenizerFacts)
    if tokenizer is not None:
        added = {"added_tokens_decoder": _added_tokens(tokenizer)}
        values = _merged(values, {"tokenizer_config": added})
    return Spec(
        name=stem,
        hub=values["hub"],
        revision=values["revision"],
        codec=values.get("codec"),
        contents={
            file: _in_order(values[file.removesuffix(".json")], before)
            for file in files
            if file.removesuffix(".json") in values
        },
        by_hand=msgspec.convert(values.get("by_hand", {}), ByHand),
        tokenizer=tokenizer,
        weights=values["weights"],
        files=files,
    )


@cache
def _all_values() -> dict[str, dict[str, Any]]:
    """Read every file of models/, by its name without the ending."""
    return {
        file.stem: _none_for_nan(msgspec.toml.decode(file.read_bytes()))
        for file in models_folder().glob("*.toml")
    }


def _none_for_nan(value: Any) -> Any:
    """Read nan, which JSON does not know, as null, which TOML does not know."""
    if isinstance(value, dict):
        return {key: _none_for_nan(each) for key, each in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `over` on `under`, object by object."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _in_order(value: Any, before: Mapping[str, list[str]]) -> Any:
    """Put keys before those that they stand before, in every object."""
    if not isinstance(value, Mapping):
        return value
    moved = {key for next_, keys in before.items() if next_ in value for key in keys}
    ordered: dict[str, Any] = {}
    for key in value:
        if key not in moved:
            for each in (*before.get(key, ()), key):
                if each in value:
                    ordered[each] = _in_order(value[each], before)
    return ordered


def _added_tokens(tokenizer: TokenizerFacts) -> dict[str, dict[str, Any]]:
    flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    return {
        str(index): {"content": token, **flags, "special": token not in tokenizer.words}
        for index, token in enumerate(tokenizer.added, start=tokenizer.symbols)
    }
