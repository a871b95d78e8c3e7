"""A bundle, file by file: the one door between export and runtime."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import Self

from qwen3_tts_edge.bundle.bundled import bundled_voice
from qwen3_tts_edge.bundle.engines import Engines, engine_folders
from qwen3_tts_edge.bundle.hash_memory import HashMemory
from qwen3_tts_edge.bundle.manifest import TOKENIZER, CodecManifest, Manifest, load_codec
from qwen3_tts_edge.bundle.tables import Tables
from qwen3_tts_edge.paths import expanded

if TYPE_CHECKING:
    from qwen3_tts_edge.bundle.tokenizer import Tokenizer


@dataclass(frozen=True)
class CodecBundle:
    """A bundle of which the codec is wanted: any, or one of the codec alone.

    Attributes:
        folder: Where it lies.
        manifest: What it says about itself.
    """

    folder: Path
    manifest: CodecManifest

    @classmethod
    def open(cls, bundle: str | Path | None = None) -> Self:
        """Read the manifest; nothing else is opened until it is needed.

        Args:
            bundle: The folder; None is the voice that comes with the package.

        Raises:
            BundleError: Not a bundle, damaged, or made by another version.
        """
        folder = _folder(bundle)
        return cls(folder, load_codec(folder))

    def verify(self, *graphs: str) -> None:
        """Read files, and compare them with their size and hash, as `CodecManifest.verify` says.

        Args:
            *graphs: Whose files are compared; none is every file, those of engines too.

        Raises:
            BundleError: Names the first that is missing, differs or is not the bundle's own.
        """
        self.manifest.verify(self.folder, *graphs)
        for folder in () if graphs else engine_folders(self.folder):
            Engines.load(folder).verify(folder)

    def check(self, *graphs: str) -> None:
        """Do as `verify`, but read no file that had its hash before and has not changed since.

        What the file system says of a file tells whether it has, see `hash_memory`. A disk that
        gives other bytes than were written is not noticed: that is what `verify` is for.

        Raises:
            BundleError: As for `verify`.
        """
        known = HashMemory()
        self.manifest.verify(self.folder, *graphs, has=known.has)
        known.save()

    def __getstate__(self) -> dict[str, object]:
        """Go to another process as a folder and what it says: what is opened of it stays here."""
        return {"folder": self.folder, "manifest": self.manifest}


@dataclass(frozen=True)
class Bundle(CodecBundle):
    """A bundle that speaks."""

    manifest: Manifest

    @classmethod
    def open(cls, bundle: str | Path | None = None) -> Self:
        """Read the manifest, as `CodecBundle.open` says.

        Raises:
            BundleError: As there, or a bundle of the codec alone.
        """
        folder = _folder(bundle)
        return cls(folder, Manifest.load(folder))

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The text tokenizer."""
        # Here and not above: the export knows bundles, and needs nothing that reads text.
        from qwen3_tts_edge.bundle.tokenizer import Tokenizer

        return Tokenizer.load(self.manifest.place(self.folder, TOKENIZER))

    @cached_property
    def tables(self) -> Tables:
        """The embedding tables, mapped."""
        return Tables(self.folder, self.manifest)


def _folder(bundle: str | Path | None) -> Path:
    if bundle is None:
        return bundled_voice()
    return expanded(bundle, "bundle", utf8=True)
