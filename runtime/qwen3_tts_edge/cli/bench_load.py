"""`qwen3-tts-edge bench --server`: what people hear of a server when many ask at once."""

import asyncio
import json
import re
from dataclasses import asdict
from typing import Any

import click

from qwen3_tts_edge.cli.options import Finite, together
from qwen3_tts_edge.cli.progress import counting
from qwen3_tts_edge.errors import InputError, lack

_POSITIVE = Finite(min=0, min_open=True)
_FROM_ZERO = Finite(min=0)


def _address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.match(r"https?://[^/]", value):
        raise click.BadParameter(f"{value!r} is no address such as http://127.0.0.1:8000")
    return value


load_options = together(
    click.option(
        "--server",
        metavar="URL",
        callback=_address,
        help="Measure a server under load instead, by its address.",
    ),
    click.option(
        "--streams",
        type=click.IntRange(1, 1000),
        help="With --server: so many people who listen in real time, each asking for the next text "
        "when the last was played.  [default: 8]",
    ),
    click.option(
        "--rate",
        type=_POSITIVE,
        help="With --server: instead so many requests a second, at random (Poisson), whatever the "
        "server does.",
    ),
    click.option(
        "--warm-up", type=_FROM_ZERO, help="With --server: seconds before that.  [default: 5]"
    ),
    click.option(
        "--think", type=_FROM_ZERO, help="With --streams: seconds between two texts.  [default: 0]"
    ),
    click.option(
        "--no-playback",
        "playback",
        flag_value=False,
        type=bool,
        default=None,
        help="With --streams: ask for the next text when all has come, not when it was played.",
    ),
    click.option("--voice", metavar="NAME", help="With --server: who speaks."),
    click.option(
        "--api-key",
        "key",
        metavar="KEY",
        envvar="QWEN3_TTS_EDGE_API_KEY",
        show_envvar=True,
        help="With --server: its key.",
    ),
)
"""The options of a load on a server."""


def measure_server(
    server: str, *, voice: str | None, key: str | None, **load: float | None
) -> None:
    """Put a load on a server; print a table and a line of JSON.

    Args:
        server: Its address.
        voice: Who speaks.
        key: That lets one in.
        **load: Attributes of `Load`; None is its default.
    """
    try:
        from qwen3_tts_edge.machine.load import Load, run
        from qwen3_tts_edge.machine.load_report import LoadReport
    except ImportError as error:
        raise InputError(
            f"to measure a server needs a package that {lack(error)}",
            'run: pip install "qwen3-tts-edge[bench]"',
        ) from error
    if load["streams"] is not None and load["rate"] is not None:
        raise click.UsageError("both --streams and --rate were given; choose one")
    given: dict[str, Any] = {name: value for name, value in load.items() if value is not None}
    asked = Load(**{"streams": None if load["rate"] else 8, **given})
    click.echo(f"measuring for {asked.warm_up + asked.seconds:g} s …", err=True)
    with counting() as count:
        answers, progress = asyncio.run(
            run(
                server,
                asked,
                voice=voice,
                key=key,
                report=lambda now: count(
                    f"{now.seconds:.0f} s, {now.under_way} under way, "
                    + ", ".join(f"{number} {what}" for what, number in now.outcomes.items())
                ),
            )
        )
    report = LoadReport.of(asked, answers, progress)
    for name, values in report.rows():
        click.echo(f"{name:<38}{values}")
    click.echo(json.dumps(asdict(report)))
