"""`qwen3-tts-edge bench`: a table for people and one line of JSON for programs."""

import json
from dataclasses import asdict
from typing import Any

import click
from click.core import ParameterSource

from qwen3_tts_edge.cli.bench_load import load_options, measure_server
from qwen3_tts_edge.cli.options import Finite, bundle_argument, folder_given, running_options
from qwen3_tts_edge.machine.arrivals import Arrivals, measure_arrivals
from qwen3_tts_edge.machine.bench import Bench, measure
from qwen3_tts_edge.machine.in_turns import InTurns, measure_in_turns
from qwen3_tts_edge.synthesizer import Synthesizer

_EXAMPLES = """\b
Examples:
  qwen3-tts-edge bench
  qwen3-tts-edge bench my-bundle --runs 20 --threads 2 | tail -1 > result.json
  qwen3-tts-edge bench my-bundle --against my-other-bundle
  qwen3-tts-edge bench my-bundle --arrivals --seconds 2
  qwen3-tts-edge bench --server http://127.0.0.1:8000 --streams 50
  qwen3-tts-edge bench --server http://127.0.0.1:8000 --rate 4 --seconds 60
"""


@click.command(epilog=_EXAMPLES)
@bundle_argument
@click.option("--runs", type=click.IntRange(min=1), default=10, show_default=True)
@click.option(
    "--seconds",
    type=Finite(min=0, min_open=True),
    help="Length of a run.  [default: 4; with --server 30]",
)
@click.option(
    "--arrivals",
    is_flag=True,
    help="Measure speech that begins while others speak: first audio, and sound a second by slots.",
)
@click.option(
    "--against",
    metavar="BUNDLE",
    callback=folder_given,
    help="Measure this bundle too, launch by launch in turns: on a busy machine their ratio holds.",
)
@load_options
@running_options
def bench(
    bundle: str | None,
    runs: int,
    seconds: float | None,
    backend: str,
    threads: int | None,
    against: str | None,
    server: str | None,
    voice: str | None,
    key: str | None,
    *,
    arrivals: bool,
    **load: float | None,
) -> None:
    """Measure how fast BUNDLE speaks on this machine, or with --server what a server's users hear.

    Without BUNDLE the voice that comes with the package is measured. The last line is JSON.
    """
    ways = {"--arrivals": arrivals, "--against": against, "--server": server}
    if len(given := [name for name, value in ways.items() if value]) > 1:
        raise click.UsageError(f"both {given[0]} and {given[1]} were given; choose one")
    if server is not None:
        _refuse_beside_server(click.get_current_context())
        measure_server(server, voice=voice, key=key, seconds=seconds, **load)
        return
    if wrong := [name for name, value in {"voice": voice, **load}.items() if value is not None]:
        raise click.UsageError(f"--{wrong[0].replace('_', '-')} is for --server")
    asked: dict[str, Any] = {
        "runs": runs,
        "seconds": seconds or 4.0,
        "threads": threads,
        "report": lambda what: click.echo(f"measuring {what} …", err=True),
    }

    def opened(slots: int | None = None, which: str | None = bundle) -> Synthesizer:
        return Synthesizer.open(which, backend=backend, threads=threads, slots=slots)

    result: Arrivals | Bench | InTurns
    if arrivals:
        result = measure_arrivals(opened, **asked)
    elif against is not None:
        result = measure_in_turns(opened(), opened(which=against), **asked)
    else:
        result = measure(opened(), **asked)
    for name, value in result.rows():
        click.echo(f"{name:<38}{value}")
    click.echo(json.dumps(asdict(result)))


_OF_A_BUNDLE = {
    "bundle": "BUNDLE",
    "runs": "--runs",
    "backend": "--backend",
    "threads": "--threads",
}


def _refuse_beside_server(ctx: click.Context) -> None:
    """Refuse what a server that runs already does not heed; a variable may name a bundle."""
    for name, option in _OF_A_BUNDLE.items():
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} is not for --server, which runs as it was started")
