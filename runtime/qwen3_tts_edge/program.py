"""How a command of this project fails: one line on stderr, and an exit code.

1 for what went wrong, 2 for what was asked wrongly, 130 for Ctrl-C. `--debug` adds the traceback.
"""

import errno
import logging
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from qwen3_tts_edge.errors import InputError, Qwen3TTSError

_DEBUG = "qwen3_tts_edge.debug"


class Program(click.Group):
    """A group of commands that fail alike. Each command takes `--debug`."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Register a command, with `--debug`."""
        cmd.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                callback=_note_debug,
                help="Show the traceback of an error.",
            )
        )
        super().add_command(cmd, name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; none at all asks for help."""
        return super().parse_args(ctx, args or ["--help"])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that was raised on purpose becomes one line."""
        try:
            return super().invoke(ctx)
        except (Qwen3TTSError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # the reader of the pipe has enough: click ends quietly
            if ctx.meta.get(_DEBUG):
                traceback.print_exc()
            failure = _WrongRequest if isinstance(error, InputError) else click.ClickException
            raise failure(_message(error)) from error

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run as a program and exit, as `click.Group.main` says."""
        extra["standalone_mode"] = False
        try:
            result = super().main(args, **extra)
        except click.ClickException as error:
            click.echo(f"error: {error.format_message()}", err=True)
            if isinstance(error, click.UsageError) and error.ctx is not None:
                click.echo(f"help:  {error.ctx.command_path} --help", err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(128 + signal.SIGINT)
        sys.exit(result if isinstance(result, int) else 0)

    def run(self) -> None:
        """Be the process: as `main`, and clean up when told to terminate as for Ctrl-C."""
        logging.basicConfig(format="%(levelname)s: %(message)s")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        self.main()


class _WrongRequest(click.ClickException):
    exit_code = 2


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _note_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_DEBUG] = True
