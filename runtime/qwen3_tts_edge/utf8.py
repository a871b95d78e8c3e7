"""Text that a command is given: UTF-8 whatever the locale says, or UTF-16 that is marked so."""

import codecs
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import click

from qwen3_tts_edge.errors import InputError


class Words(click.types.StringParamType):
    """The type of arguments and options that are text. Those that are paths have the locale's."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Decode the bytes that were given.

        Raises:
            InputError: They are in another encoding.
        """
        name = "the text" if param is None else called(param)
        return "".join(decoded([os.fsencode(value)], name))


WORDS = Words()


def called(param: click.Parameter) -> str:
    """Name an argument or an option as `--help` does."""
    name = param.opts[-1]
    return name if isinstance(param, click.Option) else name.upper()


def decoded(data: Iterable[bytes], name: str) -> Iterator[str]:
    """Decode UTF-8, or UTF-16 if a byte order mark says so, as it arrives; the mark is left out.

    Args:
        data: The text, in pieces that may end anywhere.
        name: What a message calls it.

    Raises:
        InputError: It is in another encoding.
    """
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
