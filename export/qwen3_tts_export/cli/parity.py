"""`qwen3-tts-export parity`: how far a bundle is from fp32, by codebook and by ear."""

import click

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.paths import expanded
from qwen3_tts_export.cli.extras import extra_needed
from qwen3_tts_export.cli.options import codec_option
from qwen3_tts_export.progress import progress_bar

_EXAMPLES = """\b
Examples:
  qwen3-tts-export parity models/edge-voice/int8
  qwen3-tts-export parity custom-0.6b --checkpoint ~/Qwen3-TTS-12Hz-0.6B-CustomVoice --no-listen
"""


@click.command(epilog=_EXAMPLES)
@click.argument("bundle", metavar="BUNDLE")
@click.option(
    "--checkpoint",
    help="What it was made from, a folder or a hub id; default: the folder that it lies in.",
)
@codec_option
@click.option("--sentences", type=click.IntRange(1), help="Only the first N of each set.")
@click.option(
    "--listen/--no-listen", default=True, help="Let the judge listen; needs the extra judge."
)
def parity(
    bundle: str,
    checkpoint: str | None,
    codec: str | None,
    sentences: int | None,
    listen: bool,
) -> None:
    """Measure how far BUNDLE is from fp32, and write that into it as PARITY.md.

    The checkpoint is exported in fp32 for the time being. Codes are compared teacher-forced, by
    codebook; then both speak the judge's sentences in both text layouts.
    """
    with extra_needed():
        from qwen3_tts_export.checkpoint.opening import Checkpoint
        from qwen3_tts_export.parity.judge import SETS, Judge
        from qwen3_tts_export.parity.judge import sentences as fixed
        from qwen3_tts_export.parity.ladder import comparable, write_parity

        folder = expanded(bundle, "bundle", utf8=True).resolve()
        if checkpoint is None and not (folder.parent / "config.json").is_file():
            raise InputError(
                f"{folder} does not lie in a checkpoint's folder",
                "name what it was made from with --checkpoint",
            )
        comparable(folder)  # before anything is downloaded
        judge = Judge() if listen else None
        opened = Checkpoint.open(checkpoint or folder.parent, codec=codec)
        asked = [one for kind in SETS for one in fixed([kind])[:sentences]]
        with progress_bar() as report:
            page = write_parity(folder, opened, asked, judge, report)
    click.echo(page.read_text("utf-8"), nl=False)
