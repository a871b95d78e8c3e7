"""Options that say who speaks."""

import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.names import BASE, CUSTOM_VOICE, VOICE_DESIGN
from qwen3_tts_edge.cli.options import together
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.paths import expanded
from qwen3_tts_edge.utf8 import WORDS
from qwen3_tts_edge.voices import library
from qwen3_tts_edge.voices.listener import Listener
from qwen3_tts_edge.voices.matching import kept_type
from qwen3_tts_edge.voices.profile import ENDING
from qwen3_tts_edge.voices.reference import Source
from qwen3_tts_edge.voices.voice import Voice

_KINDS = {"speaker": CUSTOM_VOICE, "design": VOICE_DESIGN, "voice": BASE, "ref_audio": BASE}
_WAYS = {
    CUSTOM_VOICE: "has named speakers; choose one with --speaker, --list-speakers names them",
    VOICE_DESIGN: 'designs its voices; describe one, such as --design "an old man"',
    BASE: "clones voices; give a recording with --ref-audio, or a voice that is kept with --voice",
}


@dataclass(frozen=True)
class VoiceChoice:
    """What was asked for: at most one of the four ways to name a voice."""

    speaker: str | None
    design: str | None
    voice: str | None
    ref_audio: str | None
    ref_text: str | None
    keep_silence: bool = False

    def __post_init__(self) -> None:
        given = [f"--{way.replace('_', '-')}" for way in _KINDS if getattr(self, way) is not None]
        if len(given) > 1:
            raise click.UsageError(f"both {given[0]} and {given[1]} were given; choose one")
        if self.ref_text is not None and self.ref_audio is None:
            raise click.UsageError("--ref-text says what --ref-audio says; give both")
        if self.keep_silence and self.ref_audio is None:
            raise click.UsageError("--keep-silence is of the recording; give --ref-audio too")

    def check(self, manifest: Manifest) -> None:
        """Refuse a way that the bundle's kind of checkpoint does not know, before any work.

        Raises:
            click.UsageError: Says which way there is.
        """
        kind = manifest.checkpoint.model_type
        given = next((way for way in _KINDS if getattr(self, way) is not None), None)
        if given is None and kind != CUSTOM_VOICE:
            raise click.UsageError(f"this bundle {_WAYS[kind]}")
        if given is not None and _KINDS[given] != kind:
            option, kept = given.replace("_", "-"), kept_type(manifest)
            way = f"clones voices; {kept}" if kept and given == "speaker" else _WAYS[kind]
            raise click.UsageError(f"--{option} is not for this bundle, which {way}")

    def find(self, bundle: Bundle, backend: str, threads: int | None) -> Voice | None:
        """The voice; a recording is heard for it. None leaves the choice to the bundle."""
        if self.ref_audio is not None:
            listener = Listener.open(bundle, backend=backend, threads=threads)
            return listener.voice(
                recording(self.ref_audio), said(self.ref_text), keep_silence=self.keep_silence
            )
        if self.voice is not None:
            return Voice.load(profile_path(self.voice))
        if self.design is not None:
            return Voice.design(self.design)
        return None if self.speaker is None else Voice.speaker(self.speaker)


keep_silence_option = click.option(
    "--keep-silence", is_flag=True, help="Keep a long silence at the ends of the recording."
)
"""A flag of `Listener.voice`."""

voice_options = together(
    keep_silence_option,
    click.option(
        "--speaker",
        type=WORDS,
        metavar="NAME",
        help="Who speaks; without it the first of the bundle.",
    ),
    click.option(
        "--design",
        type=WORDS,
        metavar="WORDS",
        help="Describe the voice, with a VoiceDesign bundle.",
    ),
    click.option(
        "--voice",
        metavar="NAME",
        help="A voice made by `voice create`, or the path of its file.",
    ),
    click.option(
        "--ref-audio",
        metavar="FILE",
        help="Clone the voice of this recording, with a Base bundle; - reads stdin.",
    ),
    click.option(
        "--ref-text",
        type=WORDS,
        metavar="WORDS",
        help="What the recording says: the clone is closer with it.",
    ),
)
"""The options of `VoiceChoice`."""


def recording(ref_audio: str) -> Source:
    """What `--ref-audio` gives: a path, or the bytes of stdin for `-`.

    Raises:
        InputError: It is nothing.
    """
    if not ref_audio:
        raise InputError("--ref-audio is empty", "give the path of a recording")
    return sys.stdin.buffer if ref_audio == "-" else ref_audio


def said(ref_text: str | None) -> str | None:
    """What `--ref-text` gives; the name of a file is said to be none of its words."""
    with suppress(OSError, ValueError):  # too long for a name, or with a null character
        if ref_text and expanded(ref_text).is_file():
            content = f'--ref-text "$(cat {shlex.quote(ref_text)})"'
            click.echo(
                f"warning: --ref-text {ref_text} is the name of a file, and is taken for what the "
                f"recording says; if it is written in that file, give {content}",
                err=True,
            )
    return ref_text


def profile_path(name: str) -> Path:
    """The file of a stored voice, or `name` itself where it is a path.

    Raises:
        InputError: No such voice.
    """
    path = expanded(name, "voice", file=True)
    there = path.is_file()
    if path.name == name and not (there and name.endswith(ENDING)):
        return library.find(name)
    if not there:
        raise InputError(f"{path} is not a file", "give a voice's name or the path of its profile")
    return path
