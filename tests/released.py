"""Folders with the files and the shapes of released checkpoints, and no bytes of weights."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from qwen3_tts_export.checkpoint.config_files import parse_checkpoint, parse_codec
from qwen3_tts_export.checkpoint.expected import Shape, expected_codec_tensors, expected_tensors
from qwen3_tts_export.checkpoint.filler_tokenizer import filler_texts
from qwen3_tts_export.checkpoint.published import published_texts
from qwen3_tts_export.checkpoint.random_weights import header
from qwen3_tts_export.checkpoint.spec import load_spec
from tiny import EDGE_VOICE

Json = dict[str, Any]
CODEC = "qwen3-tts-tokenizer-12hz"


def released_json(name: str) -> tuple[Json, Json, Json]:
    """What config.json, speech_tokenizer/config.json and generation_config.json hold."""
    texts = published_texts(load_spec(name))
    names = ("config.json", "speech_tokenizer/config.json", "generation_config.json")
    config, codec, generation = (json.loads(texts[name]) for name in names)
    return config, codec, generation


def write_holes(
    file: Path,
    tensors: Mapping[str, Shape],
    dtype: torch.dtype,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a safetensors file whose data are all holes."""
    begin = header(tensors, dtype, metadata)
    with file.open("wb") as out:
        out.write(begin)
        numbers = sum(torch.Size(shape).numel() for shape in tensors.values())
        out.truncate(len(begin) + numbers * dtype.itemsize)


def write_tokenizer(folder: Path) -> Path:
    """Write tokenizer files of the published size."""
    facts = load_spec("0.6b-base").tokenizer
    assert facts is not None
    texts = filler_texts(facts, 77091, EDGE_VOICE / "merges.txt")
    texts["tokenizer_config.json"] = published_texts(load_spec("0.6b-base"))[
        "tokenizer_config.json"
    ]
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def write_released(
    folder: Path,
    name: str,
    tokenizer: Path,
    edit: Callable[[Json], Any] = lambda _: None,
) -> Path:
    """Write a released checkpoint, its config after `edit`; link to the files in `tokenizer`."""
    spec, (config, codec, generation) = load_spec(name), released_json(name)
    (folder / "speech_tokenizer").mkdir(parents=True)
    for file, text in published_texts(spec).items():
        (folder / file).write_text(text)
    before = json.dumps(config)
    edit(config)
    if json.dumps(config) != before:
        (folder / "config.json").write_text(json.dumps(config))
    for file in ("vocab.json", "merges.txt"):
        (folder / file).symlink_to(tokenizer / file)
    tensors = expected_tensors(parse_checkpoint(config, codec, generation))
    metadata = spec.files["model.safetensors"].metadata
    write_holes(folder / "model.safetensors", tensors, torch.bfloat16, metadata)
    codec_tensors = expected_codec_tensors(parse_codec(codec))
    write_holes(folder / "speech_tokenizer" / "model.safetensors", codec_tensors, torch.float32)
    return folder
