"""The files of a checkpoint's text tokenizer, in the published layout and in transformers 5's.

Published are vocab.json, merges.txt and tokenizer_config.json. What transformers 5 saves is
tokenizer.json, which has vocabulary and merges too, and a tokenizer_config.json that no longer
lists the added tokens: these stand in tokenizer.json. Of that file nothing else is read, for its
split pattern may be another model's.
"""

from pathlib import Path
from typing import Any

import msgspec

from qwen3_tts_edge.errors import CheckpointError, reason, refuse_lfs_pointer
from qwen3_tts_export.checkpoint.identity import cure
from qwen3_tts_export.checkpoint.json_file import convert, read_json

TAKE = "take vocab.json, merges.txt and tokenizer_config.json of the checkpoint it was trained from"
"""What to do about a tokenizer that somebody has saved beside a fine-tune."""

_PUBLISHED = ("vocab.json", "merges.txt")
_SAVED = "tokenizer.json"
_CONFIG = "tokenizer_config.json"

Merge = tuple[str, str]


class _Model(msgspec.Struct):
    vocab: dict[str, int]
    merges: list[Merge | str]


class _Saved(msgspec.Struct):
    """tokenizer.json."""

    model: _Model
    added_tokens: list[dict[str, Any]]


def tokenizer_files(folder: Path) -> list[Path]:
    """List the files that the tokenizer in `folder` is read from.

    That is tokenizer.json only where nothing else says what it says.

    Raises:
        CheckpointError: Files are missing.
    """
    published = [folder / name for name in _PUBLISHED if (folder / name).is_file()]
    config, saved = folder / _CONFIG, folder / _SAVED
    has_saved, has_config = saved.is_file(), config.is_file()
    whole = len(published) == len(_PUBLISHED)
    if not has_saved and not (whole and has_config):
        missing = [name for name in (*_PUBLISHED, _CONFIG) if not (folder / name).is_file()]
        raise CheckpointError(
            f"{folder} lacks {', '.join(missing)}; expected a text tokenizer", cure(config, TAKE)
        )
    needs_saved = has_saved and not (whole and has_config and _lists_added_tokens(config))
    found = {config: has_config, saved: needs_saved}
    return [*(published if whole else []), *(file for file, needed in found.items() if needed)]


def read_tokenizer_files(folder: Path) -> tuple[dict[str, int], list[Merge], dict[str, Any]]:
    """Read the files of the tokenizer in `folder`.

    Returns:
        Symbol to id; the merges, best first; what tokenizer_config.json holds, with its
        added_tokens_decoder wherever that stood.

    Raises:
        CheckpointError: A file is missing, or is not what it should be.
    """
    files = {file.name: file for file in tokenizer_files(folder)}
    config = read_json(files[_CONFIG]) if _CONFIG in files else {}
    saved = None
    if _SAVED in files:
        saved = convert(read_json(files[_SAVED]), _Saved, str(files[_SAVED]))
        listed = {str(token.get("id")): token for token in saved.added_tokens}
        config["added_tokens_decoder"] = listed
    if saved is None or _PUBLISHED[0] in files:
        vocab: dict[str, int] = read_json(files[_PUBLISHED[0]])
        return vocab, _read_merges(files[_PUBLISHED[1]]), config
    pairs = [each.split(" ", 1) if isinstance(each, str) else each for each in saved.model.merges]
    return saved.model.vocab, [(pair[0], pair[-1]) for pair in pairs], config


def _lists_added_tokens(config: Path) -> bool:
    return bool(read_json(config).get("added_tokens_decoder"))


def _read_merges(file: Path) -> list[Merge]:
    try:
        data = file.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{file} cannot be read as UTF-8 text ({reason(error)})", cure(file, TAKE)
        ) from error
    refuse_lfs_pointer(data, file, CheckpointError)
    try:
        return parse_merges(text)
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error.found}", cure(file, TAKE)) from error


def parse_merges(text: str) -> list[tuple[str, str]]:
    """Read the lines of a `merges.txt`, best merge first.

    Only the first line may be a comment, and only if it starts with `#version:`; 96 merges of the
    Qwen vocabulary begin with "#" themselves.

    Args:
        text: The whole file.

    Returns:
        One (left, right) pair a line.

    Raises:
        CheckpointError: A line is not two symbols.

    Source: `Qwen2Tokenizer.__init__`, transformers/models/qwen2/tokenization_qwen2.py.
    """
    merges = []
    for number, line in enumerate(text.split("\n"), start=1):
        symbols = line.split()
        if not symbols or (number == 1 and line.startswith("#version:")):
            continue
        if len(symbols) != 2:
            raise CheckpointError(f"line {number} has {len(symbols)} symbols, not 2")
        merges.append((symbols[0], symbols[1]))
    return merges
