"""Who speaks: a value that any `stream` or `speak` takes."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge.arrays import Codes, Vector
from qwen3_tts_edge.codec.decoder import CodecDecoder
from qwen3_tts_edge.codec.primed import Primed
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.voices import profile
from qwen3_tts_edge.voices.profile import Family, Priming, Provenance


class Voice:
    """A voice: made by `speaker`, `design` or `cloned`, or read by `load`."""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Refuse a voice that is nobody's."""
        if cls is Voice:
            raise TypeError("make a voice with Voice.speaker, Voice.design or Voice.load")
        return super().__new__(cls)

    @staticmethod
    def speaker(name: str) -> "Speaker":
        """Name one of the checkpoint's speakers, in any letter case (CustomVoice)."""
        if not isinstance(name, str):
            raise InputError.of("the speaker's name", name, "words")
        if not name.strip():
            raise InputError("the speaker's name is empty")
        return Speaker(name.strip())

    @staticmethod
    def design(description: str) -> "Design":
        """Describe a voice in words (VoiceDesign). "" leaves the choice to the model."""
        if not isinstance(description, str):
            raise InputError.of("the description", description, "words")
        return Design(description)

    @staticmethod
    def cloned(clone: "Clone") -> "Clone":
        """Speak with a voice that a Base checkpoint has heard: a `Clone` is a voice."""
        return clone

    @staticmethod
    def load(path: str | Path) -> "Clone":
        """Read a cloned voice from its profile, see `profile`.

        Raises:
            InputError: Not a voice profile, damaged, or of another format.
            OSError: The file cannot be read.
        """
        content, vector, codes, primed = profile.load(path)
        return Clone(vector, codes, content.text, content.family, content.provenance, primed)

    def save(self, path: str | Path) -> None:
        """Write a cloned voice as a profile; a file that is there already is replaced.

        Raises:
            InputError: The voice is not a clone, or nobody knows for which checkpoint it was made.
            OSError: The file cannot be written.
        """
        raise InputError("only a cloned voice has a profile", "a speaker or a design has a name")


@dataclass(frozen=True, eq=False)
class Speaker(Voice):
    """One of a checkpoint's named speakers, whose name is the same in any letter case."""

    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Speaker) and self.name.lower() == other.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())


@dataclass(frozen=True)
class Design(Voice):
    """A voice that is described in words."""

    description: str


@dataclass(frozen=True, eq=False)
class Clone(Voice):
    """A voice that a Base checkpoint has heard.

    With `codes` and `text` the clone is in context: the reference is read as the beginning of
    the utterance, and the voice goes on from it. Without them only the speaker vector is used.

    Attributes:
        speaker_vector: float32 (hidden,), from the speaker encoder.
        codes: Of the reference, or None.
        text: What the reference says, or None.
        family: Which checkpoints it belongs to. Where it is None only shapes are checked.
        provenance: Where it comes from, or None.
        primed: What a codec's decoder carries behind the reference, or None, see `prime`.

    Raises:
        InputError: Something is of another type, only one of codes and text is there, a shape is
            wrong, or `primed` is of other codes.
    """

    speaker_vector: Vector
    codes: Codes | None = None
    text: str | None = None
    family: Family | None = None
    provenance: Provenance | None = None
    primed: Primed | None = None

    def __post_init__(self) -> None:
        text: object = self.text  # of any type: callers need not check theirs
        if not _is_array(self.speaker_vector, "fiu"):
            raise InputError.of("speaker_vector", self.speaker_vector, "an array of numbers")
        if self.codes is not None and not _is_array(self.codes, "iu"):
            raise InputError.of("codes", self.codes, "an array of whole numbers")
        if not isinstance(text, str | None):
            raise InputError.of("text", text, "what the reference says, in words")
        if self.speaker_vector.ndim != 1 or not np.isfinite(self.speaker_vector).all():
            raise InputError(
                f"the speaker vector has shape {self.speaker_vector.shape}; expected (hidden,), "
                "all numbers finite"
            )
        if (self.codes is None) != (self.text is None):
            raise InputError(
                "an in-context clone needs both the reference's codes and its text",
                "give both, or neither for the speaker vector alone",
            )
        if self.codes is not None and (self.codes.ndim != 2 or not len(self.codes)):
            raise InputError(
                f"reference codes have shape {self.codes.shape}; expected (frames, codebooks)"
            )
        primed = self.primed
        if primed and (self.codes is None or not np.array_equal(primed.reference, self.codes)):
            raise InputError(
                "the codec was primed with other codes than the clone's",
                "leave `primed` out, and prime the clone again",
            )

    def prime(self, decoder: CodecDecoder) -> "Clone":
        """Decode the reference and give the same voice with what the decoder carries then.

        Saved with the voice it spares the first request of a process the decoding. It is for that
        decoder alone: where another bundle's or another backend's speaks, the reference is decoded
        as if there were nothing, once in a process.

        Raises:
            InputError: The clone is not in context, or the decoder has other codebooks.
        """
        if self.codes is None:
            raise InputError(
                "there is no reference to decode: the clone has only a speaker vector",
                "clone the voice with what the recording says",
            )
        return replace(self, primed=decoder.prime(self.codes))

    def save(self, path: str | Path) -> None:
        """Write a profile, as `Voice.save` says."""
        if self.family is None:
            raise InputError(
                "the clone does not say for which checkpoint it was made",
                "clone the voice with Synthesizer.clone, or give it a family",
            )
        content = profile.Content(
            format=profile.KIND.format,
            text=self.text,
            family=self.family,
            provenance=self.provenance,
            primed=None if self.primed is None else Priming.of(self.primed),
        )
        state = {} if self.primed is None else self.primed.state
        profile.save(path, content, self.speaker_vector, self.codes, state)


def _is_array(given: object, kinds: str) -> bool:
    """Tell whether something is an array of numbers of some kinds, by NumPy's letters for them."""
    return isinstance(given, np.ndarray) and given.dtype.kind in kinds
