"""Edits of a checkpoint's folder, for tests of what people bring."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.opening import Checkpoint

Edit = Callable[[Path], Any]

TALKER, CODEC = "model.safetensors", "speech_tokenizer/model.safetensors"
NORM, BOOK = "talker.model.norm.weight", "decoder.quantizer.rvq_first.vq.layers.0._codebook"


def edit_json(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def edit_tensors(
    file: Path, edit: Callable[[dict[str, torch.Tensor]], Any], format_: str = "pt"
) -> None:
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    edit(tensors)
    save_file(tensors, file, metadata={"format": format_})


def cut(name: str, keep: int) -> Edit:
    def edit(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:keep])

    return edit


def write(name: str, text: str) -> Edit:
    return lambda folder: (folder / name).write_text(text) and None


def tensors(name: str, change: Callable[[dict[str, torch.Tensor]], Any]) -> Edit:
    return lambda folder: edit_tensors(folder / name, change)


def values(name: str, **new: Any) -> Edit:
    return lambda folder: edit_json(folder / name, **new)


def refusal(folder: Path | str, **kwargs: Any) -> str:
    """Open a checkpoint that cannot be, and say why."""
    with pytest.raises(CheckpointError) as raised:
        Checkpoint.open(folder, **kwargs)
    assert "\n" not in str(raised.value)
    return str(raised.value)
