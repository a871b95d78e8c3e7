"""Options that several commands have: which bundle, and what runs it."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from qwen3_tts_edge.backends import BACKENDS
from qwen3_tts_edge.backends.processors import processors
from qwen3_tts_edge.errors import InputError, quoted
from qwen3_tts_edge.paths import expanded
from qwen3_tts_edge.text.languages import AUTO
from qwen3_tts_edge.utf8 import WORDS, called

F = TypeVar("F", bound=Callable[..., Any])

_MODEL = "QWEN3_TTS_EDGE_MODEL"


def together(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Make one decorator of several options, which help names in this order."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


class Finite(click.FloatRange):
    """A number of a range. Click's has room for NaN, and for what never ends."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number."""
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return found


def folder_given(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what is no path by the name of its option; the callback of options for bundles."""
    if value is None:
        return None
    assert param.name is not None
    name = called(param)
    if ctx.get_parameter_source(param.name) != ParameterSource.ENVIRONMENT:
        expanded(value, name)
    elif not expanded(value, _MODEL).is_dir():
        raise InputError(
            f"{_MODEL} is {quoted(value)}, which is no folder",
            f"set it to that of a bundle, or unset it, or give {name}",
        )
    return value


def model_option(text: str) -> Callable[[F], F]:
    """Add `--model`, a bundle's folder.

    Args:
        text: Its help.
    """
    return click.option(
        "--model",
        metavar="DIR",
        envvar=_MODEL,
        show_envvar=True,
        callback=folder_given,
        help=text,
    )


bundle_argument = click.argument("bundle", required=False, envvar=_MODEL, callback=folder_given)
"""BUNDLE, a folder, of commands that look at one and speak nothing of their own."""


language_option = click.option(
    "--language",
    type=WORDS,
    default=AUTO,
    show_default=True,
    metavar="NAME",
    help="Of the text: a name, or a code such as en.",
)
"""`--language`, of commands that speak."""


running_options = together(
    click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        default="auto",
        show_default=True,
        help="What runs the graphs.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(1, processors()),
        help="CPU threads; without it one per physical core.",
    ),
)
"""`--backend` and `--threads`."""
