"""The README's first command on a fresh machine: the bundled voice, no PyTorch, and understood."""

import subprocess
import sys
from pathlib import Path

import soundfile

from qwen3_tts_export.parity.judge import Errors, Judge, errors

SAID = (
    "Good morning. Your timer is set for twenty minutes.",
    "The train to the airport leaves at half past seven.",
    "Please close the window before you leave.",
)
WITHOUT_PYTORCH = """
import sys
for name in ("torch", "onnx", "onnxscript", "transformers"):
    sys.modules[name] = None  # whoever imports it fails
from qwen3_tts_edge.cli import main
main()
"""


def test_the_bundled_voice_speaks_without_pytorch_and_is_understood(
    tmp_path: Path, listener: Judge
) -> None:
    transcripts, wrong = [], Errors()
    for number, text in enumerate(SAID):
        wav = tmp_path / f"{number}.wav"
        arguments = ["speak", text, "-o", str(wav), "--seed", "1"]
        subprocess.run([sys.executable, "-c", WITHOUT_PYTORCH, *arguments], check=True)
        transcripts.append(listener.transcribe(*soundfile.read(wav, dtype="float32")))
        wrong += errors(text, transcripts[-1])
    assert wrong.rate <= 0.25, transcripts
