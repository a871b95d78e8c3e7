"""Options that say who speaks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.voices import library
from qwen3_tts_edge.voices.listener import Listener
from qwen3_tts_edge.voices.profile import ENDING
from qwen3_tts_edge.voices.voice import Voice

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class VoiceChoice:
    """What was asked for: at most one of the four ways to name a voice."""

    speaker: str | None
    design: str | None
    voice: str | None
    ref_audio: str | None
    ref_text: str | None

    def __post_init__(self) -> None:
        ways = ("speaker", "design", "voice", "ref_audio")
        given = [f"--{way.replace('_', '-')}" for way in ways if getattr(self, way) is not None]
        if len(given) > 1:
            raise click.UsageError(f"both {given[0]} and {given[1]} were given; choose one")
        if self.ref_text is not None and self.ref_audio is None:
            raise click.UsageError("--ref-text says what --ref-audio says; give both")

    def find(self, bundle: Bundle, backend: str, threads: int | None) -> Voice | None:
        """The voice; a recording is heard for it. None leaves the choice to the bundle."""
        if self.ref_audio is not None:
            listener = Listener.open(bundle, backend=backend, threads=threads)
            return listener.voice(self.ref_audio, self.ref_text)
        if self.voice is not None:
            return Voice.load(profile_path(self.voice))
        if self.design is not None:
            return Voice.design(self.design)
        return None if self.speaker is None else Voice.speaker(self.speaker)


def voice_options(command: F) -> F:
    """Add the options of `VoiceChoice`."""
    for name, metavar, text in reversed(
        (
            ("--speaker", "NAME", "Who speaks; without it the first of the bundle."),
            ("--design", "WORDS", "Describe the voice, with a VoiceDesign bundle."),
            ("--voice", "NAME", "A voice made by `voice create`, or the path of its file."),
            ("--ref-audio", "FILE", "Clone the voice of this recording, with a Base bundle."),
            ("--ref-text", "WORDS", "What the recording says: the clone is closer with it."),
        )
    ):
        command = click.option(name, metavar=metavar, help=text)(command)
    return command


def profile_path(name: str) -> Path:
    """The file of a stored voice, or `name` itself where it is a path.

    Raises:
        InputError: No such voice.
    """
    path = Path(name).expanduser()
    if not name.endswith(ENDING) and len(path.parts) == 1:
        return library.find(name)
    if not path.is_file():
        raise InputError(f"{path} is not a file", "give a voice's name or the path of its profile")
    return path
