"""What may be asked for, as a value."""

import operator
import secrets
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import TypedDict, cast

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge.arrays import is_whole
from qwen3_tts_edge.bundle.memory import check_seconds
from qwen3_tts_edge.errors import InputError, quoted
from qwen3_tts_edge.speech.sampling import Sampling
from qwen3_tts_edge.text.languages import AUTO
from qwen3_tts_edge.voices.voice import Voice

Text = str | Iterable[str]
"""A text, or its pieces as they come."""


_LEAST_PIECE = 1.0
"""Seconds: of less, words would be spelled letter by letter."""


class Asked(TypedDict, total=False):
    """What may be asked for beside text and voice, see `Request`."""

    language: str | None
    instruct: str | None
    text_layout: str | None
    sampling: Sampling | None
    seed: int | None
    max_seconds: float | None
    piece_seconds: float | None
    verbatim: bool


@dataclass(frozen=True)
class Request:
    """One text to speak and how.

    A text of any length is cut into pieces that an utterance can hold, at the ends of sentences
    where that is possible; they are spoken one after the other, with the same seed.

    Attributes:
        text: What to say. Pieces of it that come one by one, as from a language model, are spoken
            as they come; None will be fed, see `Stream.feed`.
        voice: Who says it; None is the first named speaker.
        language: One of `Synthesizer.languages`, or its code, `en` or `pt-BR`; None is `auto`.
        instruct: How to say it, in words, where the checkpoint takes it.
        text_layout: `upfront` or `streamed`; None is what the checkpoint was made for.
        sampling: None is the checkpoint's defaults.
        seed: 0 to 2**64 - 1; None, or -1, draws one.
        max_seconds: Cut the speech after this long; None is several times what the text takes, for
            what goes on after that has run away.
        piece_seconds: Of usual speech in one piece, at most, of however many sentences, from 1;
            None is what the checkpoint speaks well in one go.
        verbatim: The text is one utterance, blanks and all.

    Raises:
        InputError: Something is of another type, or a number out of its range.
    """

    text: Text | None
    voice: Voice | None = None
    language: str | None = AUTO
    instruct: str | None = None
    text_layout: str | None = None
    sampling: Sampling | None = None
    seed: int | None = None
    max_seconds: float | None = None
    piece_seconds: float | None = None
    verbatim: bool = False

    def __post_init__(self) -> None:
        text: object = self.text  # of any type: callers need not check theirs
        # Of these nobody means the parts to be those of one text.
        mute = isinstance(text, bytes | bytearray | Mapping | Set | np.ndarray)
        if mute or not isinstance(text, str | Iterable | None):
            checked(text)
        if self.voice is not None and not isinstance(self.voice, Voice):
            raise InputError(
                f"voice is a {_kind(self.voice)}; expected a Voice",
                "use Voice.speaker('name'), Voice.design('...') or Voice.load(path)",
            )
        if self.sampling is not None and not isinstance(self.sampling, Sampling):
            raise InputError(
                f"sampling is a {_kind(self.sampling)}; expected a Sampling",
                "use Sampling(temperature=0.7)",
            )
        if not isinstance(self.language, str | None):
            raise InputError(
                f"language is a {_kind(self.language)}; expected a name", f"use {AUTO!r} for any"
            )
        if self.instruct is not None and not isinstance(self.instruct, str):
            raise InputError(f"instruct is a {_kind(self.instruct)}; expected words")
        if self.max_seconds is not None:
            check_seconds(self.max_seconds)
        if self.piece_seconds is not None:
            check_seconds(self.piece_seconds, "piece_seconds")
            if self.piece_seconds < _LEAST_PIECE:
                raise InputError(
                    f"piece_seconds is {self.piece_seconds}; it must be {_LEAST_PIECE:g} or more, "
                    "for words would be cut"
                )
        if not isinstance(self.verbatim, bool):
            raise InputError.of("verbatim", self.verbatim, "True or False")
        if self.verbatim and self.piece_seconds is not None:
            raise InputError(
                "verbatim and piece_seconds were given", "what is verbatim has no pieces"
            )
        if self.seed is not None and not is_whole(self.seed):
            raise InputError(f"seed is {quoted(self.seed)}; it must be a whole number")
        if self.seed is not None and not -1 <= self.seed < 2**64:
            raise InputError(
                f"seed is {quoted(self.seed)}; it must be from 0 to 2**64 - 1", "-1 draws one"
            )

    @property
    def asked(self) -> Asked:
        """What is asked for beside text and voice."""
        return cast(Asked, {name: getattr(self, name) for name in Asked.__annotations__})

    def seeded(self) -> Self:
        """Draw a seed where none was asked for; one of NumPy's becomes Python's, to be kept."""
        if type(self.seed) is int and self.seed >= 0:
            return self
        return replace(self, seed=drawn(self.seed))


def drawn(seed: int | None) -> int:
    """Give a seed as it is, a Python integer, or draw one for None and -1."""
    return secrets.randbits(32) if seed is None or seed == -1 else operator.index(seed)


def checked(text: object) -> str:
    """Refuse what is no text.

    Raises:
        InputError: It is something else.
    """
    if not isinstance(text, str):
        raise InputError(f"text is a {_kind(text)}; expected a string", "give it in quotes")
    return text


def _kind(value: object) -> str:
    return type(value).__name__
