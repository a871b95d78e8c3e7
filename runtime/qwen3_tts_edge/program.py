"""How a command of this project fails: one line on stderr, and an exit code.

1 for what went wrong, 2 for what was asked wrongly, 130 for Ctrl-C. `--debug` adds the traceback.
"""

import errno
import io
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from qwen3_tts_edge.endings import Endings
from qwen3_tts_edge.errors import InputError, Qwen3TTSError
from qwen3_tts_edge.pip import by_own_pip

_DEBUG = "qwen3_tts_edge.debug"


class Program(click.Group):
    """A group of commands that fail alike. Each command takes `--debug`.

    Commands may be named by their modules and imported when they are asked for: Ctrl-C while a
    large library is imported then ends the program as it does later, without a traceback.
    """

    def __init__(self, *args: Any, modules: Mapping[str, str] | None = None, **extra: Any) -> None:
        """Take what `click.Group` takes, and where the commands are that have modules.

        Args:
            *args: As for `click.Group`.
            modules: A module for each command, which has the command's name in it.
            **extra: As for `click.Group`.
        """
        super().__init__(*args, **extra)
        self._modules = dict(modules or {})
        self.endings = Endings()

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, sorted."""
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command; import it, if need be."""
        if cmd_name in self._modules and cmd_name not in self.commands:
            self.add_command(getattr(import_module(self._modules[cmd_name]), cmd_name))
        return super().get_command(ctx, cmd_name)

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
                click.echo(traceback.format_exc(), err=True)
            failure = _WrongRequest if isinstance(error, InputError) else click.ClickException
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            raise failure(by_own_pip(_by_options(_message(error), command))) from error

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run as a program and exit, as `click.Group.main` says."""
        extra["standalone_mode"] = False
        try:
            result = super().main(args, **extra)
            sys.exit(self.endings.code or (result if isinstance(result, int) else 0))
        except click.Abort:
            sys.exit(128 + signal.SIGINT)
        except Exception as error:
            if self.endings.code is not None:  # a library has made another error of it
                sys.exit(self.endings.code)
            if not isinstance(error, (OSError, click.ClickException)):
                raise
            sys.exit(_tell(error))

    def run(self) -> None:
        """Be the process: as `main`, and clean up when told to end as for Ctrl-C."""
        _open_standard_streams()
        logging.basicConfig(format="%(levelname)s: %(message)s")
        self.endings.heed()
        self.main()


def _open_standard_streams() -> None:
    """Put the null device where a service or a shell's `>&-` left no stdin, stdout or stderr.

    The numbers 0, 1 and 2 are taken too: else the next file that is opened would get one of them,
    and what a library writes to stderr would end in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # noqa: PERF203
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name may have letters that it cannot encode
        sys.stdout.reconfigure(errors="backslashreplace")


_REMEDIES = {
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room on its disk",
    errno.EFBIG: "choose a disk that takes larger files, or raise the limit",
    errno.EROFS: "choose another place",
}
"""What to do about errors of writing, by their numbers."""


class _WrongRequest(click.ClickException):
    exit_code = 2


def _tell(error: OSError | click.ClickException) -> int:
    """Say what is wrong; give the code to exit with."""
    if isinstance(error, OSError):  # of help, which is said before there is a command
        click.echo(f"error: {_message(error)}", err=True)
        return 1
    click.echo(f"error: {error.format_message()}", err=True)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"help:  {error.ctx.command_path} --help", err=True)
    return error.exit_code


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror is not None:
        if error.errno == errno.ENOENT and not error.filename:  # os.getcwd names nothing
            return "the folder that this runs in is not there any more; change to another"
        remedy = _REMEDIES.get(error.errno or 0)
        # Who writes a file names it, see `files`. What is left is what is printed.
        name = error.filename or ("standard output" if remedy else None)
        found = f"{name}: {error.strerror}" if name else error.strerror
        return f"{found}; {remedy}" if remedy else found
    return str(error)


def _by_options(message: str, command: click.Command | None) -> str:
    """Put a command's options into a message that calls them by the names of Python's arguments."""
    for param in [] if command is None else command.params:
        if isinstance(param, click.Option) and param.name is not None:
            name = re.escape(param.name)
            plain = rf"\b{name}\b" if "_" in name else rf"^{name}(?= is )"
            message = re.sub(plain, param.opts[-1], message)
    return message


def _note_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_DEBUG] = True
