"""Where the text of a command comes from: its argument, a file, or stdin as it arrives."""

import sys
from functools import partial
from io import BufferedReader
from typing import cast

import click

from qwen3_tts_edge.paths import expanded
from qwen3_tts_edge.speech.request import Text
from qwen3_tts_edge.utf8 import decoded

_AT_ONCE = 1 << 16
"""Bytes of stdin that are read together, if so many are there."""


def text_of(text: str | None, file: str | None, *, arrives: bool) -> Text:
    """Find what to say.

    Args:
        text: The argument; `-` is stdin, and so is None where there is no file.
        file: UTF-8, or UTF-16 with a byte order mark; `-` is stdin.
        arrives: Whether what comes from stdin may be spoken bit by bit, as it arrives.

    Raises:
        click.UsageError: There are two texts, or none.
        InputError: It is in another encoding.
        OSError: The file cannot be read.
    """
    if text is not None and file is not None:
        raise click.UsageError("both TEXT and --file were given; choose one")
    if text is not None and text != "-":
        return text
    if file is not None and file != "-":
        return "".join(decoded([expanded(file, "file", file=True).read_bytes()], file))
    if text is None and file is None and sys.stdin.isatty():
        raise click.UsageError('nothing to say; give a TEXT, such as speak "Hello."')
    arriving = cast(BufferedReader, sys.stdin.buffer)  # gives what is there, and waits for no more
    pieces = decoded(iter(partial(arriving.read1, _AT_ONCE), b""), "stdin")
    return pieces if arrives else "".join(pieces)
