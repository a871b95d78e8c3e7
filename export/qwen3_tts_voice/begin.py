"""Begin with the codebooks and the weights of a checkpoint that was made here.

In: a checkpoint. Out: `codebooks.npz`, `talker_start.pt`, `decoder_start.pt`, `encoder_start.pt`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

from qwen3_tts_voice import training
from qwen3_tts_voice.codes import BOOKS, CODEBOOKS, Quantiser
from qwen3_tts_voice.encoder import CORNER, Encoder
from qwen3_tts_voice.talker_model import Talker


def begin(work: Path, checkpoint: Path) -> None:
    """Write what the three trainings start with.

    Raises:
        ValueError: There are other codebooks already, so its codes would mean something else.
    """
    theirs, ours = checkpoint / CODEBOOKS, work / CODEBOOKS
    if ours.exists() and ours.read_bytes() != theirs.read_bytes():
        raise ValueError(f"{ours} has other codebooks than {theirs}; begin in an empty folder")
    shutil.copyfile(theirs, ours)
    quantiser = Quantiser.load(ours)
    codec = _floats(checkpoint / "speech_tokenizer")
    talker = Talker(quantiser, seed=0)
    talker.load_official(_floats(checkpoint))
    halves = {
        half: {n.removeprefix(f"{half}."): v for n, v in codec.items() if n.startswith(f"{half}.")}
        for half in ("decoder", "encoder")
    }
    states = {
        "talker": talker.state_dict(),
        "decoder": halves["decoder"],
        "encoder": _encoder(halves["encoder"]),
    }
    for name, state in states.items():
        torch.save(state, training.start_of(work, name))


def _floats(folder: Path) -> dict[str, torch.Tensor]:
    stored = load_file(folder / "model.safetensors")
    return {name: v.float() if v.is_floating_point() else v for name, v in stored.items()}


def _encoder(official: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Undo `Encoder.official_state`."""
    name = "quantizer.{}_residual_vector_quantizer.layers.{}.codebook.embed_sum"
    encoder = Encoder(seed=0)
    encoder.encoder.load_state_dict(official)
    state: dict[str, torch.Tensor] = encoder.state_dict()
    state["first_rows"] = official[name.format("semantic", 0)]
    wide = [official[name.format("acoustic", book)] for book in range(BOOKS - 1)]
    corners = [rows[:, b * CORNER : (b + 1) * CORNER] for b, rows in enumerate(wide)]
    state["rows"] = torch.stack(corners)
    return state
