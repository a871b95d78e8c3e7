"""Voices by the names that clients know: the bundle's, the user's, and OpenAI's for either."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.names import BASE, VOICE_DESIGN
from qwen3_tts_edge.errors import InputError, Qwen3TTSError
from qwen3_tts_edge.text.languages import code_of
from qwen3_tts_edge.voices import library
from qwen3_tts_edge.voices.library import folded
from qwen3_tts_edge.voices.matching import match
from qwen3_tts_edge.voices.voice import Clone, Voice

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


_TOLD = 20
"""Voices that an error names, of those there are."""

_REPLACING = "replace=true"
"""How a client asks for it."""

_MOST = 1000
"""Voices: each is a file, and the list of them is read for every request."""


@contextmanager
def _folder() -> Iterator[None]:
    """Say what is wrong with the folder of kept voices, which is no fault of a client."""
    try:
        library.folder()
    except InputError as error:
        raise Qwen3TTSError(
            f"the server's folder of voices cannot be used ({error.found})", error.remedy
        ) from error
    try:
        yield
    except OSError as error:
        raise Qwen3TTSError(
            f"the server's folder of voices cannot be used ({error.strerror})",
            "look after its owner, its mode and its space",
        ) from error


def _choice(names: list[str]) -> str:
    """Say what can be done about a voice that is not there."""
    if not names:
        return "upload one to /v1/audio/voices"
    more = f" and {len(names) - _TOLD} more at /v1/audio/voices" if len(names) > _TOLD else ""
    return f"there are: {', '.join(names[:_TOLD])}{more}"


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
    """The voices of one bundle. Where the user's folder cannot be used there is a `Qwen3TTSError`.

    Attributes:
        speakers: Its own, sorted.
    """

    def __init__(self, bundle: Bundle, aliases: Mapping[str, str]) -> None:
        """Take a bundle and other names.

        Args:
            bundle: Whose speakers these are.
            aliases: Name → the name of a speaker or of a kept voice.
        """
        self._manifest = bundle.manifest
        self.speakers = bundle.manifest.speaker_names
        self._aliases = {folded(name): folded(voice) for name, voice in aliases.items()}

    @property
    def clones(self) -> bool:
        """Whether the bundle speaks with cloned voices."""
        return self._manifest.checkpoint.model_type == BASE

    @property
    def languages(self) -> list[str]:
        """Codes of the languages that every voice speaks, sorted."""
        return sorted(map(code_of, self._manifest.language_names))

    def listed(self) -> list[Named]:
        """Name all voices."""
        with _folder():
            kept = library.names() if self.clones else []
        return [Named(name, kept=False) for name in self.speakers] + [
            Named(name, kept=True) for name in kept
        ]

    def leading_nowhere(self) -> list[str]:
        """Name the voices that aliases stand for and that are not there, or not yet."""
        there = {folded(each.name) for each in self.listed()}
        return sorted(set(self._aliases.values()) - there)

    def kept(self) -> dict[str, Clone]:
        """Read the kept voices that this bundle can speak with, by name, sorted."""
        found = {}
        for each in self.listed():
            with suppress(InputError):
                if each.kept:
                    voice = self.load(each.name)
                    match(self._manifest, voice, None)
                    found[each.name] = voice
        return found

    def load(self, name: str) -> Clone:
        """Read a kept voice. Where it lies is nobody's to know.

        Raises:
            InputError: It is damaged, or gone.
        """
        try:
            return Voice.load(library.path_of(name))
        except FileNotFoundError:  # it was when it was looked for
            raise InputError(f"there is no voice {name!r} any more") from None
        except OSError as error:
            raise InputError(f"the voice {name!r} cannot be read ({error.strerror})") from error
        except InputError:
            raise InputError(
                f"the voice {name!r} is damaged, or of another version", "upload it again"
            ) from None

    def place_for(self, name: str, *, replace: bool) -> Path:
        """Give the file for a new voice.

        Args:
            name: Of the voice; in another letter case it is the same.
            replace: A kept voice of that very name may be replaced.

        Raises:
            InputError: The name is taken or no name, or too many voices are kept.
        """
        listed, wanted = self._by_name(name), folded(name)
        if (meant := self._aliases.get(wanted, wanted)) != wanted:
            raise InputError(f"{name!r} is a name for {meant!r} here", "choose another name")
        taken = listed.get(wanted)
        if taken is not None and not (replace and taken.kept and taken.name == name):
            remedy = "choose another name"
            if taken.kept:
                by_name = "" if taken.name == name else f", by its name {taken.name}"
                remedy += f", or replace it with {_REPLACING}{by_name}"
            raise InputError(f"there is a voice {taken.name!r} already", remedy)
        if taken is None and len(listed) >= _MOST:
            raise InputError(f"{_MOST} voices are kept, which is the most", "delete some")
        with _folder():
            return library.place_for(name, replace=replace, way=_REPLACING)

    def keep(self, name: str, voice: Clone, *, replace: bool) -> None:
        """Keep a voice; other processes may do so too, in the same folder, and are waited for.

        Arguments and errors are those of `place_for`.
        """
        self.place_for(name, replace=replace)
        with _folder(), library.held(name, replace=replace, way=_REPLACING) as path:
            voice.save(path)

    def keeps(self, name: str | None) -> bool:
        """Tell whether a voice of that name, in any letter case, is kept."""
        found = self._by_name(name).get(folded(name or ""))
        return found is not None and found.kept

    def drop(self, name: str) -> str | None:
        """Delete a kept voice, by its name in any letter case.

        Returns:
            Its name as it was kept; None where there is none, or somebody else deletes it.
        """
        found = self._by_name(name).get(folded(name))
        if found is None or not found.kept:
            return None
        with _folder():
            try:
                library.path_of(found.name).unlink()
            except FileNotFoundError:
                return None
        return found.name

    def find(self, name: str | None, description: str | None = None) -> Voice | None:
        """Find who shall speak.

        Args:
            name: A speaker, a kept voice or an alias, in any letter case; None leaves the choice
                to the bundle.
            description: The voice in words; it is all that a VoiceDesign bundle goes by, and
                others do not.

        Raises:
            InputError: There is no such voice; says which there are.
        """
        if self._manifest.checkpoint.model_type == VOICE_DESIGN:
            return Voice.design(description or "")
        name = (name or "").strip()
        known, wanted = self._by_name(name), folded(name)
        wanted = self._aliases.get(wanted, wanted)
        if wanted not in known and wanted in OPENAI and known:
            wanted = self._standing_in(wanted, list(known))
        if not wanted and not self.clones:
            return None
        if (found := known.get(wanted)) is None:
            raise InputError(
                f"there is no voice {name!r}" if wanted else "no voice is named",
                _choice([each.name for each in known.values()]),
            )
        if found.kept:
            return self.load(found.name)
        return Voice.speaker(found.name)

    def _by_name(self, asked: str | None) -> dict[str, Named]:
        """All voices by their names; of files that differ in letter case only, that very one."""
        listed = sorted(self.listed(), key=lambda each: each.name == asked)
        return {folded(each.name): each for each in listed}

    def _standing_in(self, name: str, known: list[str]) -> str:
        usual = OPENAI[name]
        return usual if usual in known else known[sorted(OPENAI).index(name) % len(known)]
