"""Where the text of a command comes from: its argument, a file, or stdin as it arrives."""

import codecs
import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from io import BufferedReader
from itertools import chain
from typing import cast

import click

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.paths import expanded
from qwen3_tts_edge.speech.request import Text

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
        return "".join(_decoded([os.fsencode(text)], "TEXT"))  # whatever the locale says
    if file is not None and file != "-":
        return "".join(_decoded([expanded(file, "file").read_bytes()], file))
    if text is None and file is None and sys.stdin.isatty():
        raise click.UsageError('nothing to say; give a TEXT, such as speak "Hello."')
    arriving = cast(BufferedReader, sys.stdin.buffer)  # gives what is there, and waits for no more
    pieces = _decoded(iter(partial(arriving.read1, _AT_ONCE), b""), "stdin")
    return pieces if arrives else "".join(pieces)


def _decoded(data: Iterable[bytes], name: str) -> Iterator[str]:
    """Decode UTF-8, or UTF-16 if a byte order mark says so, as it arrives; the mark is left out."""
    decoder, read, begun = None, 0, b""
    try:
        for piece in chain(data, [b""]):
            read += len(piece)
            begun += piece
            if decoder is None:
                if len(begun) < len(codecs.BOM_UTF16) and piece:
                    continue
                wide = begun.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
                decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")()
            yield decoder.decode(begun, final=not piece)
            begun = b""
    except UnicodeDecodeError as error:
        at = read - len(error.object) + error.start
        coded = "UTF-16" if error.encoding.startswith("utf-16") else "UTF-8"
        raise InputError(
            f"{name} is not {coded} text: byte {at} is {error.object[error.start]:#04x}",
            "convert it",
        ) from error
