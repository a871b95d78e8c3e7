"""`qwen3-tts-export random`: a checkpoint of full size with random weights."""

import click

from qwen3_tts_edge.paths import expanded
from qwen3_tts_export.cli.extras import extra_needed
from qwen3_tts_export.progress import progress_bar

_EXAMPLES = """\b
Examples:
  qwen3-tts-export random 0.6b-customvoice -o random-0.6b
  qwen3-tts-export bundle random-0.6b -o random-0.6b-int8
\b
NAME is one of:
  0.6b-base  0.6b-customvoice
  1.7b-base  1.7b-customvoice  1.7b-voicedesign
"""


@click.command(epilog=_EXAMPLES)
@click.argument("name")
@click.option("-o", "--output", required=True, metavar="DIR", help="Where; must not exist.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same bytes.")
def random(name: str, output: str, seed: int) -> None:
    """Write a checkpoint of full size with random weights, for benchmarks.

    It has the shapes of the released checkpoint NAME and so its speed and memory. What it says is
    noise.
    """
    with extra_needed():
        from qwen3_tts_export.checkpoint.random import random_from_spec

        with progress_bar() as report:
            folder = random_from_spec(name, expanded(output, "output", utf8=True), seed, report)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    click.echo(
        f"{folder}: random weights in the shapes of {name}, {size / 1e9:.1f} GB; "
        "for benchmarks, it cannot speak",
        err=True,
    )
