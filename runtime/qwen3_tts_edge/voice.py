"""Who speaks: a value that any `stream` or `speak` takes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.errors import InputError


@dataclass(frozen=True, eq=False)
class Clone:
    """What a Base checkpoint knows of a voice it has heard.

    With `codes` and `text` the clone is in-context: the reference is read as the beginning of
    the utterance, and the voice goes on from it. Without them only the speaker vector is used.

    Attributes:
        speaker_vector: float32 (hidden,), from the speaker encoder.
        codes: int64 (frames, codebooks) of the reference, or None.
        text: What the reference says, or None.

    Raises:
        InputError: Only one of codes and text is there, or a shape is wrong.
    """

    speaker_vector: npt.NDArray[np.float32]
    codes: npt.NDArray[np.int64] | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if self.speaker_vector.ndim != 1 or not np.isfinite(self.speaker_vector).all():
            raise InputError(
                f"the speaker vector has shape {self.speaker_vector.shape}; expected (hidden,), "
                "all numbers finite"
            )
        if (self.codes is None) != (self.text is None):
            raise InputError(
                "an in-context clone needs both the reference's codes and its text; "
                "give both, or neither for the speaker vector alone"
            )
        if self.codes is not None and (self.codes.ndim != 2 or not len(self.codes)):
            raise InputError(
                f"reference codes have shape {self.codes.shape}; expected (frames, codebooks)"
            )


@dataclass(frozen=True, eq=False)
class Voice:
    """A voice: made by `speaker`, `design` or `cloned`."""

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
