"""What tests of the command line have in common."""

import sys
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from qwen3_tts_edge.cli import commands

TEXT = "Set a timer for ten minutes."
LONG = "The train to the coast leaves at seven, and the last one back is before midnight. " * 20
PROGRAM = [sys.executable, "-c", "from qwen3_tts_edge.cli import main; main()"]


def run(*args: str, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(commands, [str(arg) for arg in args], input=text)


def numbers(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(int)


def left() -> list[str]:
    return sorted(path.name for path in Path.cwd().iterdir())
