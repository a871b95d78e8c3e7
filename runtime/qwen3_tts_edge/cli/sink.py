"""Where the sound of a command goes: `-o`, a file or stdout."""

import shlex
import sys

import click

from qwen3_tts_edge.paths import check_target, expanded
from qwen3_tts_edge.sound.encoding import encoder
from qwen3_tts_edge.sound.writing import ENDINGS, AudioFile, AudioStream, format_of

_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(list(ENDINGS.values())),
    help="Of what -o - streams; without it 16-bit little-endian PCM. A file's ending says its own.",
)
"""`--format`, of commands whose sound can go to stdout."""


def sink_of(
    output: str,
    form: str | None,
    sample_rate: int,
    rate_out: int | None = None,
    speed: float = 1.0,
) -> AudioFile | AudioStream:
    """Find where the sound goes, and refuse what could not be written.

    Args:
        output: A file, or `-`.
        form: What `-` streams; None is PCM.
        sample_rate: Of the samples.
        rate_out: See `encoding.encoder`.
        speed: See `encoding.encoder`.

    Raises:
        click.UsageError: Stdout is a terminal, or closed, or it is not said what is to be written.
        InputError: As for `AudioFile`.
    """
    if output == "-":
        if sys.__stdout__ is None:
            raise click.UsageError("-o - has nowhere to go, for stdout is closed; give a file")
        if sys.stdout.isatty():
            raise click.UsageError("-o - would print sound on the terminal; pipe it into a player")
        return AudioStream(
            sys.stdout.buffer,
            encoder(form or "pcm", sample_rate, rate_out=rate_out, speed=speed),
        )
    path = expanded(output, "output", file=True)
    special = path.exists() and not (path.is_file() or path.is_dir())
    if not path.suffix and (special or output in _STDOUT):
        there = "" if output in _STDOUT else f" > {shlex.quote(output)}"
        raise click.UsageError(
            f"the name {output} does not say what to write; use -o -{there}, which is PCM, or what "
            "--format says"
        )
    check_target(path)
    named = format_of(path)
    if form not in (None, named):
        raise click.UsageError(
            f"{output} would be {named} and --format says {form}; "
            f"name it {path.stem}.{form}, or drop --format"
        )
    return AudioFile(path, sample_rate, rate_out=rate_out, speed=speed)
