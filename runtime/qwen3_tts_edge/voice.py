"""Who speaks: a value that any `stream` or `speak` takes."""

from dataclasses import dataclass
from typing import Self

from qwen3_tts_edge.errors import InputError


@dataclass(frozen=True)
class Voice:
    """A voice: made by `speaker` or by `design`."""

    name: str | None = None
    description: str | None = None

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
