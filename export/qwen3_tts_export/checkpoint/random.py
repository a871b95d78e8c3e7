"""A complete checkpoint folder in the official format, with random weights.

It stands in for the released weights wherever only shapes, speed or exactness matter.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch

from qwen3_tts_edge.atomic import whole_folder_or_nothing
from qwen3_tts_edge.errors import InputError
from qwen3_tts_export.checkpoint.config_files import parse_checkpoint, parse_codec
from qwen3_tts_export.checkpoint.expected import Shape, expected_codec_tensors, expected_tensors
from qwen3_tts_export.checkpoint.filler_tokenizer import filler_texts
from qwen3_tts_export.checkpoint.generation import GenerationConfig
from qwen3_tts_export.checkpoint.published import published_texts
from qwen3_tts_export.checkpoint.random_weights import Metadata, write_tensors
from qwen3_tts_export.checkpoint.space import check_space
from qwen3_tts_export.checkpoint.spec import CODEC_FOLDER, load_spec, models_folder
from qwen3_tts_export.checkpoint.tokenizer_files import tokenizer_files
from qwen3_tts_export.progress import Report, within

_TEXT_FROM = "edge-voice"
_WEIGHTS = "model.safetensors"


def write_random(
    folder: Path,
    config_json: Mapping[str, Any],
    codec_config_json: Mapping[str, Any],
    *,
    seed: int,
    tokenizer_from: Path,
    dtype: torch.dtype = torch.bfloat16,
    generation_json: Mapping[str, Any] | None = None,
) -> Path:
    """Write a checkpoint folder that this project and the official package both open.

    The folder appears only when it is complete, see `atomic.whole_folder_or_nothing`.

    Args:
        folder: Where to write; must not exist yet.
        config_json: The content of config.json.
        codec_config_json: The content of speech_tokenizer/config.json.
        seed: The same seed gives the same bytes.
        tokenizer_from: A folder whose tokenizer files are copied.
        dtype: Of model.safetensors; the codec is always fp32, as released.
        generation_json: The content of generation_config.json; the official defaults if None.

    Raises:
        InputError: `folder` exists, or the disk is too small.
        CheckpointError: The config describes no checkpoint that could be opened, or there is no
            tokenizer.
    """
    codec = load_spec("qwen3-tts-tokenizer-12hz").contents
    contents = {
        "config.json": config_json,
        "generation_config.json": generation_json or _official_defaults(),
        "speech_tokenizer/config.json": codec_config_json,
        "speech_tokenizer/preprocessor_config.json": codec["preprocessor_config.json"],
    }
    texts = {name: json.dumps(each, indent=2) + "\n" for name, each in contents.items()}
    for file in tokenizer_files(tokenizer_from):
        texts[file.name] = file.read_text(encoding="utf-8")
    return _write(folder, texts, seed, dtype)


def random_from_spec(name: str, folder: Path, seed: int, report: Report = lambda *_: None) -> Path:
    """Write a random checkpoint with the files and full shapes of a released one.

    The config files are the published ones. The text tokenizer has as many ids.

    Args:
        name: Of a spec in models/, such as `0.6b-customvoice` or `1.7b-base`.
        folder: Where to write; must not exist yet.
        seed: The same seed gives the same bytes.
        report: Called as the work proceeds.

    Raises:
        InputError: There is no such spec, it is the codec's, `folder` exists, or the disk is too
            small.
    """
    spec = load_spec(name)
    if spec.tokenizer is None:
        raise InputError(f"{spec.name} is the codec alone", "name a checkpoint that contains it")
    role = spec.contents["config.json"]["assistant_token_id"]
    seeds = models_folder() / _TEXT_FROM / "merges.txt"
    texts = published_texts(spec) | filler_texts(spec.tokenizer, role, seeds)
    metadata = spec.files[_WEIGHTS].metadata
    return _write(folder, texts, seed, metadata=metadata, report=report)


def _official_defaults() -> dict[str, Any]:
    """Return the settings of the official files; `non_streaming_mode` is ours."""
    values = msgspec.structs.asdict(GenerationConfig())
    del values["non_streaming_mode"]
    return values


def _write(
    folder: Path,
    texts: Mapping[str, str],
    seed: int,
    dtype: torch.dtype = torch.bfloat16,
    metadata: Metadata | None = None,
    report: Report = lambda *_: None,
) -> Path:
    codec_json = json.loads(texts["speech_tokenizer/config.json"])
    generation = json.loads(texts["generation_config.json"])
    config = parse_checkpoint(json.loads(texts["config.json"]), codec_json, generation)
    talker, codec = expected_tensors(config), expected_codec_tensors(parse_codec(codec_json))
    sizes = _nbytes(talker, dtype), _nbytes(codec, torch.float32)
    check_space(folder, sum(sizes) + sum(map(len, texts.values())))
    share = sizes[0] / sum(sizes)
    with whole_folder_or_nothing(folder) as part:
        (part / "speech_tokenizer").mkdir()
        for name, text in texts.items():
            (part / name).write_bytes(text.encode())
        on_talker, on_codec = within(report, 0.0, share), within(report, share, 1.0)
        write_tensors(part / _WEIGHTS, talker, dtype, seed, metadata, on_talker)
        file = part / CODEC_FOLDER / _WEIGHTS
        write_tensors(file, codec, torch.float32, seed, report=on_codec)
    return folder


def _nbytes(tensors: Mapping[str, Shape], dtype: torch.dtype) -> int:
    return sum(math.prod(shape) for shape in tensors.values()) * dtype.itemsize
