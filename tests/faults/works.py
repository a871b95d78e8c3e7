"""What takes long and leaves files: an export, engines, a voice; and how to tell it is whole."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from qwen3_tts_edge import cli as runtime
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.engines import FOLDER, Engines
from qwen3_tts_edge.bundle.own_files import sha256
from qwen3_tts_edge.codec.code_file import CodeFile
from qwen3_tts_edge.voices import library
from qwen3_tts_edge.voices.voice import Clone, Voice
from tiny import EDGE_VOICE, tiny_config


@dataclass(frozen=True)
class Work:
    """Something that leaves one file or folder.

    Attributes:
        name: Of the work.
        folder: Where it writes, and nobody else.
        do: Does it.
        check: Raises an error where what it left is not whole.
        keeps: Whether what it replaces is there until it is replaced.
    """

    name: str
    folder: Path
    do: Callable[[], Any]
    check: Callable[[Path], Any]
    keeps: bool = False

    def visible(self) -> list[Path]:
        """What others may open: all that is there under a final name."""
        there = [] if not self.folder.exists() else list(self.folder.iterdir())
        return [each for each in there if each.suffix not in (".part", ".lock")]


def export(checkpoint: Path, folder: Path) -> Work:
    """`qwen3-tts-export bundle`."""
    from qwen3_tts_export import cli

    arguments = ["bundle", str(checkpoint), "-o", str(folder / "bundle"), "--precision", "fp32"]
    return Work("export", folder, partial(cli.commands.main, arguments), _check_bundle)


def engines(bundle: Path, max_seconds: float) -> Work:
    """Engines that replace those that there are, of another length."""
    from qwen3_tts_export import cli

    arguments = ["engines", str(bundle), "--target", "rtx", "--max-seconds", str(max_seconds)]
    return Work("engines", bundle / FOLDER, partial(cli.commands.main, arguments), _check_engines)


def random_checkpoint(folder: Path) -> Work:
    """`qwen3-tts-export random`, of a tiny one."""
    from qwen3_tts_export import cli
    from qwen3_tts_export.checkpoint import random
    from qwen3_tts_export.checkpoint.opening import Checkpoint

    def tiny(_: str, folder: Path, seed: int, __: object) -> Path:
        return random.write_random(folder, *tiny_config(), seed=seed, tokenizer_from=EDGE_VOICE)

    def do() -> None:
        random.random_from_spec = tiny
        cli.commands.main(["random", "tiny", "-o", str(folder / "random")])

    return Work("random", folder, do, Checkpoint.open)


def voice(base: Path, folder: Path, *extra: str) -> Work:
    """`qwen3-tts-edge voice create`, in context and primed."""
    os.environ[library.VARIABLE] = str(folder)
    arguments = ["voice", "create", "anna", "--model", str(base)]
    arguments += ["--ref-audio", str(_recording(folder)), "--ref-text", "A hum, a long hum."]
    arguments += ["--primed", "--threads", "1", *extra]
    do = partial(runtime.commands.main, arguments)
    return Work("voice", folder, do, _check_voice, keeps="--replace" in extra)


def codes(base: Path, folder: Path) -> Work:
    """`qwen3-tts-edge codec encode`."""
    arguments = ["codec", "encode", str(_recording(folder)), "-o", str(folder / "a.codes")]
    arguments += ["--model", str(base), "--threads", "1"]
    return Work("codes", folder, partial(runtime.commands.main, arguments), CodeFile.load)


def speech(bundle: Path, folder: Path, ending: str) -> Work:
    """`qwen3-tts-edge speak`."""
    folder.mkdir(exist_ok=True)
    arguments = ["speak", "Hello, you.", "-o", str(folder / f"a.{ending}"), "--seed", "1"]
    arguments += ["--model", str(bundle), "--threads", "1"]
    return Work("speech", folder, partial(runtime.commands.main, arguments), soundfile.info)


def _recording(folder: Path) -> Path:
    """A hum, beside the folder."""
    folder.mkdir(exist_ok=True)
    recording = folder.with_name("anna.wav")
    hum = np.sin(np.arange(36_000) * 0.05) * np.linspace(0.1, 0.5, 36_000)
    soundfile.write(recording, hum, 24_000)
    return recording


def _check_bundle(folder: Path) -> None:
    Bundle.open(folder).verify()


def _check_engines(folder: Path) -> None:
    found = Engines.load(folder)
    for name, spec in found.plans.items():
        assert sha256(folder / f"{name}.plan") == spec.sha256


def _check_voice(path: Path) -> None:
    profile = Voice.load(path)
    assert isinstance(profile, Clone)
    assert profile.primed is not None
