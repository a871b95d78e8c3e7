"""Audio as the official package takes it: a path, a URL, base64, or an array with its rate."""

import base64
import binascii
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.compat.options import ArgumentError
from qwen3_tts_edge.errors import InputError

Waveform = npt.NDArray[np.generic]
AudioLike = str | Path | bytes | tuple[Waveform, int]

LONGEST_PATH = 256
"""A string without a slash that is longer is base64, as upstream."""

_LARGEST_DOWNLOAD = 256 << 20
_PATIENCE = 30.0  # seconds without a byte


def local(given: Any, *, fetch_urls: bool) -> Path | bytes | tuple[Waveform, int]:
    """Turn strings into a path or the bytes of a sound file; the rest stays as it is.

    Raises:
        InputError: A URL that was not asked for or could not be fetched, or broken base64.
        ArgumentError: Something that is no audio, such as an array without its rate.
    """
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], np.ndarray):
        return given[0], int(given[1])
    if isinstance(given, bytes | Path):
        return given
    if isinstance(given, np.ndarray):
        raise InputError("an array does not say its sample rate", "give (array, sample rate)")
    if not isinstance(given, str):
        raise ArgumentError(
            f"audio is a {type(given).__name__}; expected a path, a URL, base64 or (array, rate)"
        )
    if _is_url(given):
        return _fetched(given, asked=fetch_urls)
    if given.startswith("data:") or (
        len(given) > LONGEST_PATH and "/" not in given and "\\" not in given
    ):
        return _decoded(given)
    if "\0" in given:
        raise InputError(f"{given!r} is no path of a sound file: it has a null character")
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{given!r} begins with the home of nobody here", "write it out"
        ) from error


def _is_url(given: str) -> bool:
    try:
        parts = urlparse(given)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _fetched(url: str, *, asked: bool) -> bytes:
    if not asked:
        raise InputError(
            f"{url} is not fetched unless asked for",
            "open with from_pretrained(..., fetch_urls=True), or download the file and give its "
            "path",
        )
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:
            data: bytes = answer.read(_LARGEST_DOWNLOAD + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{url} could not be fetched: {error}") from error
    if len(data) > _LARGEST_DOWNLOAD:
        raise InputError(
            f"{url} is larger than {_LARGEST_DOWNLOAD >> 20} MiB", "give a shorter one"
        )
    return data


def _decoded(text: str) -> bytes:
    """Base64, bare or in a data URL."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(
            f"audio was read as base64, which it is not ({error})",
            f"a path of over {LONGEST_PATH} characters needs a slash",
        ) from error
