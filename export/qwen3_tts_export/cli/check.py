"""`qwen3-tts-export check`: what a checkpoint is, and whether it can be exported."""

import click

from qwen3_tts_export.cli.extras import extra_needed
from qwen3_tts_export.cli.options import codec_option, revision_option
from qwen3_tts_export.progress import progress_bar

_EXAMPLES = """\b
Examples:
  qwen3-tts-export check ~/my-fine-tune
  qwen3-tts-export check Qwen/Qwen3-TTS-12Hz-1.7B-Base
"""


@click.command(epilog=_EXAMPLES)
@click.argument("checkpoint")
@revision_option
@codec_option
@click.pass_context
def check(ctx: click.Context, checkpoint: str, revision: str | None, codec: str | None) -> None:
    """Say what CHECKPOINT is, what fits and what does not, without exporting it.

    Files are compared with the published ones by their hashes. Of a Hugging Face id that was not
    downloaded, only a few megabytes are. Ends with 1 if it cannot be exported.
    """
    with extra_needed():
        from qwen3_tts_export.checkpoint.checking import check as look

        with progress_bar() as report:
            found = look(checkpoint, revision=revision, codec=codec, report=report)
    click.echo(f"{found.name}: {found.kind}")
    width = max(map(len, found.files), default=0)
    for name, whose in found.files.items():
        click.echo(f"  {name:{width}}  {whose}")
    click.echo("does not fit:" if found.problems else "fits: it can be exported")
    for problem in found.problems:
        click.echo(f"  {problem}")
    ctx.exit(1 if found.problems else 0)
