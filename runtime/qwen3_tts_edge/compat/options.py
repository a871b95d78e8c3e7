"""The keyword arguments that every `generate_*` shares, and lists that stand beside each other."""

from typing import Any, TypedDict

from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.errors import InputError, Qwen3TTSError
from qwen3_tts_edge.speech.sampling import Sampling


class ArgumentError(Qwen3TTSError, TypeError):
    """An argument that is not known, or of a type that is not."""


class Options(TypedDict, total=False):
    """What steers generation, by the official names; None is the checkpoint's own default.

    Attributes:
        max_new_tokens: One more than the most frames to speak; a frame is 80 ms.
        seed: Ours: row i of a batch is spoken with `seed + i`, so that it can be spoken again.
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
    seed: int | None


def check(options: Options) -> None:
    """Refuse what is not known.

    Raises:
        ArgumentError: Names it, and what is known.
    """
    unknown = sorted(options.keys() - Options.__annotations__.keys())
    if unknown:
        raise ArgumentError(
            f"unexpected keyword argument {', '.join(unknown)}",
            f"generation takes {', '.join(Options.__annotations__)}",
        )


def sampling(options: Options) -> Sampling:
    """The part of the options that says how codes are chosen."""
    given: dict[str, Any] = {
        name: value for name, value in options.items() if name not in ("max_new_tokens", "seed")
    }
    return Sampling(**given)


def max_seconds(options: Options, manifest: Manifest) -> float | None:
    """The longest speech, for a request.

    Raises:
        InputError: Not one frame.
    """
    tokens = options.get("max_new_tokens")
    if tokens is None:
        return None
    if tokens < 2:
        raise InputError(f"max_new_tokens is {tokens}; it must be 2, for one frame, or more")
    # The last token ends the speech. Half a frame off, so that rounding up cannot add one.
    return (tokens - 1.5) / manifest.frames_per_second


def seed(options: Options, row: int) -> int | None:
    """The seed of a row of a batch."""
    first = options.get("seed")
    return None if first is None else first + row


def as_list(given: Any) -> list[Any]:
    """A list as it is, anything else as a list of it."""
    return given if isinstance(given, list) else [given]


def beside(texts: list[str], **others: Any) -> list[list[Any]]:
    """Give each text its own of everything else: one for all, or as many as there are texts.

    Raises:
        InputError: Another number of them, or no text.
        ArgumentError: A text is not a string.
    """
    columns = [as_list(other) for other in others.values()]
    columns = [one * len(texts) if len(one) == 1 else one for one in columns]
    if not texts or any(len(column) != len(texts) for column in columns):
        found = {"text": texts} | dict(zip(others, columns, strict=True))
        counts = ", ".join(f"{name}={len(column)}" for name, column in found.items())
        raise InputError(f"Batch size mismatch: {counts}; expected one for all or one each")
    for text in texts:
        if not isinstance(text, str):
            raise ArgumentError(f"text is a {type(text).__name__}; expected a string or a list")
    return columns


def or_auto(language: Any) -> Any:
    """The language that is spoken where none is asked for."""
    return "Auto" if language is None else language


def check_names(what: str, names: list[Any], supported: list[str]) -> None:
    """Refuse names that are not known, in any letter case.

    Raises:
        InputError: Says which, and what is known.
    """
    bad = [name for name in names if str(name).lower() not in supported]
    if bad:
        raise InputError(f"Unsupported {what}: {bad}. Supported: {supported}")
