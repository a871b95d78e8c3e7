"""The command `qwen3-tts-export`: checkpoint → bundle → engines, one file a command.

PyTorch is imported when a command that needs it runs; building engines does not.
"""

import click

from qwen3_tts_edge.program import Program
from qwen3_tts_edge.version import VERSION

_EXAMPLES = """\b
Examples:
  qwen3-tts-export bundle ~/Qwen3-TTS-12Hz-0.6B-CustomVoice -o custom-0.6b
  qwen3-tts-export bundle Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice -o custom-0.6b
  qwen3-tts-edge speak "Hello." --model custom-0.6b --speaker ryan
"""
_COMMANDS = ("bundle", "check", "engines", "parity", "listen", "random")


@click.group(
    cls=Program,
    modules={name: f"{__name__}.{name}" for name in _COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXAMPLES,
)
@click.version_option(VERSION, message="%(prog)s %(version)s")
def commands() -> None:
    """Turn Qwen3-TTS checkpoints into bundles that qwen3-tts-edge speaks from."""


def main() -> None:
    """Entry point of the console script."""
    commands.run()
