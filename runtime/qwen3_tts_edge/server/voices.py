"""Voices by the names that clients know: the bundle's, the user's, and OpenAI's for either."""

from collections.abc import Mapping
from dataclasses import dataclass

from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.names import BASE
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.speech.languages import code_of
from qwen3_tts_edge.voices import library
from qwen3_tts_edge.voices.voice import Voice

OPENAI = {
    "alloy": "serena",
    "ash": "aiden",
    "ballad": "dylan",
    "cedar": "eric",
    "coral": "vivian",
    "echo": "ryan",
    "fable": "aiden",
    "marin": "vivian",
    "nova": "serena",
    "onyx": "uncle_fu",
    "sage": "sohee",
    "shimmer": "ono_anna",
    "verse": "ryan",
}
"""OpenAI's names, which some clients insist on, and speakers of the released checkpoints."""


@dataclass(frozen=True)
class Named:
    """A voice that clients may ask for.

    Attributes:
        name: By which they do.
        kept: Whether it is a profile of the user's, which can be deleted.
    """

    name: str
    kept: bool


class Voices:
    """The voices of one bundle."""

    def __init__(self, bundle: Bundle, aliases: Mapping[str, str]) -> None:
        """Take a bundle and other names.

        Args:
            bundle: Whose speakers these are.
            aliases: Name → the name of a speaker or of a kept voice.
        """
        self._manifest = bundle.manifest
        self._speakers = sorted(bundle.manifest.speakers)
        self._aliases = {name.lower(): voice for name, voice in aliases.items()}

    @property
    def clones(self) -> bool:
        """Whether the bundle speaks with cloned voices."""
        return self._manifest.checkpoint.model_type == BASE

    @property
    def languages(self) -> list[str]:
        """Codes of the languages that every voice speaks, sorted."""
        return sorted(code_of(name) for name in self._manifest.languages if "_" not in name)

    def listed(self) -> list[Named]:
        """Name all voices."""
        kept = library.names() if self.clones else []
        return [Named(name, kept=False) for name in self._speakers] + [
            Named(name, kept=True) for name in kept
        ]

    def find(self, name: str | None, design: str | None = None) -> Voice | None:
        """Find who shall speak.

        Args:
            name: A speaker, a kept voice or an alias, in any letter case; None leaves the choice
                to the bundle.
            design: Words that describe the voice, which is what a VoiceDesign bundle goes by.

        Raises:
            InputError: There is no such voice; says which there are.
        """
        if design is not None:
            return Voice.design(design)
        known = {each.name.lower(): each for each in self.listed()}
        wanted = (name or "").strip().lower()
        wanted = self._aliases.get(wanted, wanted)
        if wanted not in known and wanted in OPENAI and known:
            wanted = self._standing_in(wanted, list(known))
        if not wanted and not self.clones:
            return None
        if (found := known.get(wanted)) is None:
            there = ", ".join(each.name for each in known.values())
            raise InputError(
                f"there is no voice {name!r}",
                f"there are: {there}" if there else "upload one to /v1/audio/voices",
            )
        if found.kept:
            return Voice.load(library.path_of(found.name))
        return Voice.speaker(found.name)

    def _standing_in(self, name: str, known: list[str]) -> str:
        usual = OPENAI[name]
        return usual if usual in known else known[sorted(OPENAI).index(name) % len(known)]
