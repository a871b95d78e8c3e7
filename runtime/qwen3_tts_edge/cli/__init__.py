"""The command `qwen3-tts-edge`: one file a command, all of them doors to the synthesizer."""

import click

from qwen3_tts_edge.cli.bench import bench
from qwen3_tts_edge.cli.codec import codec
from qwen3_tts_edge.cli.doctor import doctor
from qwen3_tts_edge.cli.info import info
from qwen3_tts_edge.cli.speak import speak
from qwen3_tts_edge.cli.voice import voice
from qwen3_tts_edge.program import Program
from qwen3_tts_edge.version import VERSION

_EXAMPLES = """\b
Examples:
  qwen3-tts-edge speak "The kettle is on."
  qwen3-tts-edge info
  qwen3-tts-edge doctor
"""


@click.group(
    cls=Program, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXAMPLES
)
@click.version_option(VERSION, message="%(prog)s %(version)s")
def commands() -> None:
    """Speak with Qwen3-TTS from ONNX graphs, without PyTorch."""


commands.add_command(speak)
commands.add_command(voice)
commands.add_command(codec)
commands.add_command(info)
commands.add_command(bench)
commands.add_command(doctor)


def main() -> None:
    """Entry point of the console script."""
    commands.run()
