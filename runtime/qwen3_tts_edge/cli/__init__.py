"""The command `qwen3-tts-edge`: one file a command, all of them doors to the synthesizer."""

import click

from qwen3_tts_edge.program import Program
from qwen3_tts_edge.version import VERSION

_EXAMPLES = """\b
Examples:
  qwen3-tts-edge speak "The kettle is on."
  qwen3-tts-edge info
  qwen3-tts-edge doctor
"""
_COMMANDS = ("speak", "voice", "codec", "serve", "info", "bench", "doctor")


@click.group(
    cls=Program,
    modules={name: f"{__name__}.{name}" for name in _COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXAMPLES,
)
@click.version_option(VERSION, message="%(prog)s %(version)s")
def commands() -> None:
    """Speak with Qwen3-TTS from ONNX graphs, without PyTorch."""


def main() -> None:
    """Entry point of the console script."""
    commands.run()
