"""Who speaks: a value that any `stream` or `speak` takes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.voices.profile import Family, Profile, Provenance


@dataclass(frozen=True, eq=False)
class Clone:
    """What a Base checkpoint knows of a voice it has heard.

    With `codes` and `text` the clone is in-context: the reference is read as the beginning of
    the utterance, and the voice goes on from it. Without them only the speaker vector is used.

    Attributes:
        speaker_vector: float32 (hidden,), from the speaker encoder.
        codes: int64 (frames, codebooks) of the reference, or None.
        text: What the reference says, or None.
        family: Which checkpoints it belongs to; None is not known, and only shapes are checked.
        provenance: Where it comes from, or None.

    Raises:
        InputError: Only one of codes and text is there, or a shape is wrong.
    """

    speaker_vector: npt.NDArray[np.float32]
    codes: npt.NDArray[np.int64] | None = None
    text: str | None = None
    family: Family | None = None
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
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


@dataclass(frozen=True, eq=False)
class Voice:
    """A voice: made by `speaker`, `design` or `cloned`, or read by `load`."""

    name: str | None = None
    description: str | None = None
    clone: Clone | None = None

    @classmethod
    def speaker(cls, name: str) -> Self:
        """One of the checkpoint's named speakers, in any letter case (CustomVoice)."""
        if not name.strip():
            raise InputError("the speaker's name is empty")
        return cls(name=name.strip().lower())

    @classmethod
    def design(cls, description: str) -> Self:
        """A voice from a description in words (VoiceDesign). "" leaves the choice to the model."""
        return cls(description=description)

    @classmethod
    def cloned(cls, clone: Clone) -> Self:
        """A voice that a Base checkpoint has heard."""
        return cls(clone=clone)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A cloned voice from its profile, see `profile`.

        Raises:
            InputError: Not a voice profile, damaged, or of another format.
            OSError: The file cannot be read.
        """
        found = Profile.load(path)
        return cls.cloned(
            Clone(found.speaker_vector, found.codes, found.text, found.family, found.provenance)
        )

    def save(self, path: str | Path) -> None:
        """Write a cloned voice as a profile; a file that is there already is replaced.

        Raises:
            InputError: The voice is not a clone, or nobody knows for which checkpoint it was made.
            OSError: The file cannot be written.
        """
        clone = self.clone
        if clone is None:
            raise InputError(
                "only a cloned voice has a profile", "a speaker or a design has a name"
            )
        if clone.family is None:
            raise InputError(
                "the clone does not say for which checkpoint it was made",
                "clone the voice with Synthesizer.clone, or give it a family",
            )
        Profile(clone.speaker_vector, clone.codes, clone.text, clone.family, clone.provenance).save(
            path
        )
