"""Audio as the official package takes it: a path, a URL, base64, or an array with its rate."""

import base64
import binascii
import errno
import os
import re
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.compat.options import ArgumentError, shown
from qwen3_tts_edge.errors import InputError, reason
from qwen3_tts_edge.paths import expanded

AudioLike = str | Path | bytes | tuple[Array, int]

LONGEST_NAME, LONGEST_PATH = 256, 4096
"""A string that is longer is base64: without a slash, as upstream, or with."""

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+=*\s*")
_LARGEST_DOWNLOAD = 256 << 20
_PATIENCE = 30.0  # seconds without a byte


def local(given: Any, *, fetch_urls: bool) -> Path | bytes | tuple[Array, int]:
    """Turn strings into a path or the bytes of a sound file; the rest stays as it is.

    Raises:
        InputError: A URL that was not asked for or could not be fetched, or broken base64.
        ArgumentError: Something that is no audio, such as an array without its rate.
    """
    if isinstance(given, tuple) and len(given) == 2:
        return _pair(*given)
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
    if given.startswith("data:") or _is_base64(given):
        return _decoded(given)
    if given.startswith("file:"):
        raise InputError(f"{shown(given)} is no path of a sound file", "give the path itself")
    path = expanded(given, "audio", file=True)
    if len(given) > LONGEST_NAME and not os.path.exists(path):  # noqa: PTH110 - never raises
        # Opening it would say so with the whole of it.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), shown(given, quoted=False))
    return path


def _pair(sound: Any, rate: Any) -> tuple[Array, int]:
    if not isinstance(sound, np.ndarray):
        raise ArgumentError(
            f"audio is a pair whose first is a {type(sound).__name__}; expected a numpy array, and "
            "then its sample rate"
        )
    return sound, sample_rate(rate)


def sample_rate(rate: Any) -> int:
    """Take a sample rate: any number, or its digits.

    Raises:
        ArgumentError: It is something else.
        InputError: It is no number.
    """
    try:
        return int(rate)
    except TypeError as error:
        raise ArgumentError(
            f"the sample rate is a {type(rate).__name__}; expected a number"
        ) from error
    except (ValueError, OverflowError) as error:
        raise InputError(f"the sample rate is {shown(rate)}; expected a number") from error


def _is_base64(given: str) -> bool:
    """Tell it from a path: every 64 characters or so it has a slash too."""
    if len(given) <= LONGEST_NAME:
        return False
    if len(given) > LONGEST_PATH or not ("/" in given or "\\" in given):
        return True
    return bool(_BASE64.fullmatch(given)) and not os.path.isfile(given)  # noqa: PTH113


def _is_url(given: str) -> bool:
    try:
        parts = urlparse(given)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _fetched(url: str, *, asked: bool) -> bytes:
    if not asked:
        raise InputError(
            f"{shown(url)} is not fetched unless asked for",
            "open with from_pretrained(..., fetch_urls=True), or download the file and give its "
            "path",
        )
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:
            data: bytes = answer.read(_LARGEST_DOWNLOAD + 1)
    except (OSError, ValueError, HTTPException) as error:  # the last of a blank in an address
        raise InputError(
            f"{shown(url)} could not be fetched: {reason(error)}",
            "download the file and give its path",
        ) from error
    if len(data) > _LARGEST_DOWNLOAD:
        raise InputError(
            f"{shown(url)} is larger than {_LARGEST_DOWNLOAD >> 20} MiB", "give a shorter one"
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
            f"a path has at most {LONGEST_PATH} characters, and a name {LONGEST_NAME}",
        ) from error
