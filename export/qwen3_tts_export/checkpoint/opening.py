"""An official Qwen3-TTS 12 Hz checkpoint, opened and checked as a whole before any work.

`Checkpoint.open` takes a folder or a Hugging Face id and refuses anything incomplete, cut short or
of another family; one that bears an official name is also held to its spec. What comes back holds
numbers (`config`), tensors by their official names (`talker`, `codec`) mapped from the files on
demand, the text tokenizer, and who it is (`name`, `revision`, `fingerprint`).
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from qwen3_tts_edge.errors import CheckpointError, InputError
from qwen3_tts_edge.hub import is_hub_id
from qwen3_tts_edge.paths import expanded
from qwen3_tts_export.checkpoint import hub
from qwen3_tts_export.checkpoint.codec_config import CodecConfig
from qwen3_tts_export.checkpoint.config import CheckpointConfig
from qwen3_tts_export.checkpoint.config_files import CODEC_TYPE
from qwen3_tts_export.checkpoint.identity import identify
from qwen3_tts_export.checkpoint.json_file import read_json
from qwen3_tts_export.checkpoint.parts import CodecParts, Parts
from qwen3_tts_export.checkpoint.spec import CODEC_FOLDER
from qwen3_tts_export.checkpoint.weights import TensorFile

_SAMPLE = 4096  # bytes hashed at either end of a tensor


@dataclass(frozen=True)
class CodecCheckpoint:
    """The codec alone: the standalone repository, or a checkpoint's speech_tokenizer folder."""

    folder: Path
    name: str
    revision: str | None
    config: CodecConfig
    codec: TensorFile

    @classmethod
    def open(cls, source: str | Path, *, revision: str | None = None) -> "CodecCheckpoint":
        """Open and check a codec.

        Args:
            source: A folder, or a hub id such as `Qwen/Qwen3-TTS-Tokenizer-12Hz`.
            revision: Of a hub id: a branch, tag or commit.

        Raises:
            CheckpointError: Something is missing, damaged or not supported.
        """
        _ = CodecParts(_without_weights(named(source, revision), revision)).config
        parts = CodecParts(locate(source, revision))
        name, commit = identify(parts.folder)
        parts.hold()
        return cls(parts.folder, name, commit, parts.config, parts.codec)

    @cached_property
    def fingerprint(self) -> str:
        """Like `Checkpoint.fingerprint`, over the codec's files."""
        return fingerprint([self.folder / "config.json"], [self.codec])


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint: talker, code predictor, codec and, for base, the speaker encoder."""

    folder: Path
    name: str
    revision: str | None
    config: CheckpointConfig
    talker: TensorFile
    """`talker.…` and, for base, `speaker_encoder.…`, as in model.safetensors."""
    codec: TensorFile
    """`decoder.…` and `encoder.…`, as in speech_tokenizer/model.safetensors."""
    tokenizer: Tokenizer
    """Text to the ids that the talker knows; `.save(path)` writes a bundle's `tokenizer.json`."""
    files: Sequence[Path]
    """The config and tokenizer files that it was read from."""

    @classmethod
    def open(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        codec: str | Path | None = None,
    ) -> "Checkpoint":
        """Open a checkpoint and check all of it.

        Args:
            source: A folder, or a hub id such as `Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice`.
            revision: Of a hub id: a branch, tag or commit.
            codec: A folder or hub id of the codec, for a checkpoint that came without
                speech_tokenizer; a whole checkpoint's codec is taken too.

        Raises:
            CheckpointError: Something is missing, damaged or not supported.
        """
        _look_ahead(named(source, revision), revision, None if codec is None else named(codec))
        parts = Parts(locate(source, revision), None if codec is None else codec_of(locate(codec)))
        name, commit = identify(parts.folder)
        parts.hold()
        return cls(
            folder=parts.folder,
            name=name,
            revision=commit,
            config=parts.config,
            talker=parts.talker,
            codec=parts.codec,
            tokenizer=parts.tokenizer,
            files=[*parts.text_files, parts.codec_parts.folder / "config.json"],
        )

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 that tells this checkpoint from others, in well under a second.

        It covers the config and tokenizer files whole and, of the weights, every header (names,
        dtypes, shapes) and the first and last 4 KiB of every tensor. Training or converting moves
        every tensor, so it shows; it is no proof against somebody who wants to hide a change.
        """
        return fingerprint(self.files, [self.talker, self.codec])


def open_checkpoint(
    source: str | Path, *, revision: str | None = None, codec: str | Path | None = None
) -> Checkpoint | CodecCheckpoint:
    """Open whatever it is: a whole checkpoint, or the codec alone.

    Raises:
        InputError: A codec is named for a codec.
        CheckpointError: As for `Checkpoint.open`.
    """
    if codec is not None:
        named(codec)
    folder = _without_weights(named(source, revision), revision)
    if not is_codec(folder):
        return Checkpoint.open(source, revision=revision, codec=codec)
    if codec is not None:
        raise InputError(f"{folder} is a codec itself, --codec is for a checkpoint without one")
    return CodecCheckpoint.open(source, revision=revision)


def _look_ahead(source: Path | str, revision: str | None, codec: Path | str | None) -> None:
    """Refuse, before gigabytes are downloaded, what small files and local ones tell to be wrong.

    Args:
        source: What `named` gave of the checkpoint.
        revision: Of a hub id.
        codec: What it gave of the codec, where that is another.
    """
    if isinstance(source, Path) and not isinstance(codec, str):
        return  # nothing is
    folder = _without_weights(source, revision)
    if not (folder / "config.json").is_file():
        return  # what is there in its place is told by who looks for weights
    parts = Parts(folder, None if codec is None else codec_of(_without_weights(codec)))
    _ = parts.config, parts.tokenizer
    if isinstance(codec, Path):
        _ = parts.codec
    if isinstance(source, Path):
        _ = parts.talker


def _without_weights(found: Path | str, revision: str | None = None) -> Path:
    return hub.small_files(found, revision) if isinstance(found, str) else found


def is_codec(folder: Path) -> bool:
    """Tell whether a folder holds the codec alone."""
    file = folder / "config.json"
    return file.is_file() and read_json(file).get("model_type") == CODEC_TYPE


def locate(source: str | Path, revision: str | None = None) -> Path:
    """Return the folder of a checkpoint, downloaded if need be. Errors are those of `named`."""
    found = named(source, revision)
    return hub.download(found, revision) if isinstance(found, str) else found


def named(source: str | Path, revision: str | None = None) -> Path | str:
    """Find out what names a checkpoint: a folder, or else a hub id, of which nothing is asked yet.

    Raises:
        CheckpointError: It is neither, or a folder of which a revision is asked for.
    """
    folder = expanded(source, "checkpoint", utf8=True)
    if folder.is_dir():
        if revision is not None:
            raise CheckpointError(f"{folder} is a folder", "a revision belongs to a hub id")
        cached = sorted((folder / "snapshots").glob("*/config.json"))
        if cached and not (folder / "config.json").exists():
            raise CheckpointError(
                f"{folder} is what a cache holds of a repository",
                f"name a revision in it, such as {cached[-1].parent}",
            )
        return folder
    if folder.is_file():
        raise CheckpointError(f"{folder} is a file", f"name its folder, {folder.parent}")
    if isinstance(source, str) and is_hub_id(hub_id := source.rstrip("/")):
        return hub_id
    raise CheckpointError(f"{source} is not a folder, nor a hub id such as owner/name")


def codec_of(folder: Path) -> Path:
    """Return the folder of a codec: this one, or what a whole checkpoint has of it."""
    inside = folder / CODEC_FOLDER
    return inside if inside.is_dir() else folder


def fingerprint(files: Iterable[Path], weights: Iterable[TensorFile]) -> str:
    """Hash `files` whole, and of `weights` the headers and both ends of every tensor."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    for tensors in weights:
        for file, header in tensors.headers.items():
            total.update(f"{file.name}\0".encode() + hashlib.sha256(header.raw).digest())
            with file.open("rb") as stream:
                for entry in header.entries.values():
                    stream.seek(entry.start)
                    total.update(stream.read(min(_SAMPLE, entry.end - entry.start)))
                    stream.seek(max(entry.start, entry.end - _SAMPLE))
                    total.update(stream.read(entry.end - stream.tell()))
    return total.hexdigest()
