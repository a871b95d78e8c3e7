"""`qwen3-tts-edge bench`: a table for people and one line of JSON for programs."""

import json

import click

from qwen3_tts_edge.cli.options import bundle_argument, running_options
from qwen3_tts_edge.machine.bench import Bench, measure
from qwen3_tts_edge.synthesizer import Synthesizer

_EXAMPLES = """\b
Examples:
  qwen3-tts-edge bench
  qwen3-tts-edge bench my-bundle --runs 20 --threads 2 | tail -1 > result.json
"""


@click.command(epilog=_EXAMPLES)
@bundle_argument
@click.option("--runs", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--seconds", type=float, default=4.0, show_default=True, help="Length of a run.")
@running_options
def bench(bundle: str | None, runs: int, seconds: float, backend: str, threads: int | None) -> None:
    """Measure how fast BUNDLE speaks on this machine.

    Without BUNDLE the voice that comes with the package is measured.
    """
    tts = Synthesizer.open(bundle, backend=backend, threads=threads)
    result = measure(
        tts,
        runs=runs,
        seconds=seconds,
        threads=threads,
        report=lambda what: click.echo(f"measuring {what} …", err=True),
    )
    for name, value, unit in _rows(result):
        click.echo(f"{name:<34}{value:>10} {unit}")
    click.echo(json.dumps(result.as_dict()))


def _rows(result: Bench) -> list[tuple[str, object, str]]:
    return [
        ("time to first audio, p50", result.ttfa_p50_ms, "ms"),
        ("time to first audio, p95", result.ttfa_p95_ms, "ms"),
        ("talker + code predictor", result.frame_ms, "ms/frame"),
        *_floor(result),
        *(
            (f"codec, {size} frame{'s' * (size > 1)} a chunk", took, "ms/frame")
            for size, took in result.codec_ms.items()
        ),
        ("host", result.host_ms, "ms/frame"),
        *(
            (f"talker + predictor at {positions}", took, "ms/frame")
            for positions, took in result.context_ms.items()
        ),
        *(
            (f"talker + predictor, {slots} slots", took, "ms/launch")
            for slots, took in result.batch_ms.items()
        ),
        ("real-time factor", result.rtf, ""),
        ("peak memory", result.peak_rss_mb, "MB"),
    ]


def _floor(result: Bench) -> list[tuple[str, object, str]]:
    if result.floor_ms is None:
        return []
    times = round(result.frame_ms / result.floor_ms, 2)
    return [("", times, f"times the bandwidth floor of {result.floor_ms} ms")]
