"""The keyword arguments that every `generate_*` shares, and lists that stand beside each other."""

import contextlib
import os
from collections.abc import Iterable
from typing import Any, SupportsFloat, SupportsInt, TypedDict, cast

import numpy as np

from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.errors import InputError, Qwen3TTSError
from qwen3_tts_edge.speech.sampling import Sampling


class ArgumentError(Qwen3TTSError, TypeError):
    """An argument that is not known, or of a type that is not."""


_LONGEST = 80


def shown(given: Any, *, quoted: bool = True) -> str:
    """Write what was given for a message: it may be long, and somebody's voice or secret."""
    text = repr(str(given) if isinstance(given, os.PathLike) else given) if quoted else str(given)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


class Options(TypedDict, total=False):
    """What steers generation, by the official names; None is the checkpoint's own default.

    Attributes:
        max_new_tokens: One more than the most frames to speak; a frame is 80 ms. It may be more
            than there is room for; speech that is cut where memory is full is warned about.
        eos_token_id: The code that ends speech: the checkpoint's own, alone or in a list.
        seed: Ours: row i of a batch is spoken with `seed + i`, so that it can be spoken again. -1
            draws each row's.
    """

    do_sample: bool | None
    top_k: int | None
    top_p: float | None
    temperature: float | None
    repetition_penalty: float | None
    subtalker_dosample: bool | None
    subtalker_top_k: int | None
    subtalker_top_p: float | None
    subtalker_temperature: float | None
    max_new_tokens: int | None
    eos_token_id: int | list[int] | None
    seed: int | None


_TRUTHS = ("do_sample", "subtalker_dosample")
_WHOLE = ("top_k", "subtalker_top_k", "max_new_tokens", "seed")


def checked(options: Options, manifest: Manifest) -> Options:
    """Refuse what is not known; give the rest, numpy's numbers as Python's.

    Raises:
        ArgumentError: Names an argument that is not known, and those that are, or one of another
            type.
        InputError: Speech is to end with another code, or no frame is to be spoken.
    """
    unknown = sorted(options.keys() - Options.__annotations__.keys())
    if unknown:
        raise ArgumentError(
            f"unexpected keyword argument {shown(', '.join(unknown), quoted=False)}",
            f"generation takes {', '.join(Options.__annotations__)}",
        )
    given = {name: value for name, value in options.items() if value is not None}
    end, ours = given.pop("eos_token_id", ()), manifest.control_codes.end_of_speech
    ends = end if isinstance(end, list | tuple) else [end]
    if not all(isinstance(one, int | np.integer) and one == ours for one in ends):
        raise InputError(
            f"eos_token_id is {shown(end)}; speech ends with the checkpoint's own, {ours}",
            "leave it out",
        )
    found: Options = {}
    for name, value in given.items():
        found[name] = _number(name, value)  # type: ignore[literal-required]
    tokens = found.get("max_new_tokens")
    if tokens is not None and tokens < 2:
        raise InputError(f"max_new_tokens is {tokens}; it must be 2, for one frame, or more")
    return found


def _number(name: str, value: Any) -> bool | int | float:
    if name in _TRUTHS:
        return truth(name, value)
    if isinstance(value, SupportsFloat) and not isinstance(value, bool):
        with contextlib.suppress(TypeError, ValueError, OverflowError):  # arrays raise each of them
            number = float(value)
            if name not in _WHOLE:
                return number
            if number.is_integer():  # sliders give 50.0
                return int(cast(SupportsInt, value))
    what = "a whole number" if name in _WHOLE else "a number"
    raise ArgumentError(f"{name} is {shown(value)}; expected {what}")


def truth(name: str, value: Any) -> bool:
    """Take True or False, numpy's and 0 and 1 too.

    Raises:
        ArgumentError: Something else, such as the string "False".
    """
    if not isinstance(value, bool | int | np.bool_):
        raise ArgumentError(f"{name} is {shown(value)}; expected True or False")
    return bool(value)


def check_strings(name: str, given: Iterable[Any]) -> None:
    """Refuse what is neither a string nor None.

    Raises:
        ArgumentError: Names the argument.
    """
    for one in given:
        if one is not None and not isinstance(one, str):
            raise ArgumentError(
                f"{name} is a {type(one).__name__}; expected a string, or a list of them"
            )


def sampling(options: Options) -> Sampling:
    """Take the options that say how codes are chosen."""
    given: dict[str, Any] = {
        name: value for name, value in options.items() if name not in ("max_new_tokens", "seed")
    }
    return Sampling(**given)


def seed(options: Options, row: int) -> int | None:
    """Give the seed of a row of a batch."""
    first = options.get("seed")
    return None if first is None or first == -1 else first + row


def as_list(given: Any) -> list[Any]:
    """Make a list of what is none."""
    return given if isinstance(given, list) else [given]


def beside(texts: list[str], **others: Any) -> list[list[Any]]:
    """Give each text its own of everything else: one for all, or as many as there are texts.

    Raises:
        InputError: Another number of them, no text, or one that is empty.
        ArgumentError: A text is not a string.
    """
    columns = [as_list(other) for other in others.values()]
    columns = [one * len(texts) if len(one) == 1 else one for one in columns]
    if not texts:
        raise InputError("text is an empty list", "give at least one text")
    if any(len(column) != len(texts) for column in columns):
        found = {"text": texts} | dict(zip(others, columns, strict=True))
        counts = ", ".join(f"{name}={len(column)}" for name, column in found.items())
        raise InputError(f"Batch size mismatch: {counts}; expected one for all or one each")
    check_strings("text", texts)
    for row, text in enumerate(texts):
        if text is None:
            raise ArgumentError("text is None; expected a string, or a list of them")
        if len(texts) > 1 and not text.strip():
            raise InputError(f"text {row} of the list is empty", "leave it out")
    return columns


def or_auto(language: Any) -> Any:
    """Put `Auto` where no language is asked for."""
    return "Auto" if language is None else language


def check_names(what: str, names: list[Any], supported: list[str]) -> None:
    """Refuse names that are not known, in any letter case.

    Raises:
        InputError: Says which, and what is known.
    """
    bad = [name for name in names if str(name).lower() not in supported]
    if bad:
        raise InputError(f"Unsupported {what}: {shown(bad)}. Supported: {supported}")
