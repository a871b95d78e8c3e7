"""An official Qwen3-TTS 12 Hz checkpoint, opened and checked as a whole before any work.

`Checkpoint.open` takes a folder or a Hugging Face id and refuses anything incomplete, cut short or
of another family; one that bears an official name is also held to its spec. What comes back holds
numbers (`config`), tensors by their official names (`talker`, `codec`) mapped from the files on
demand, and who it is (`name`, `revision`, `fingerprint`).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint import hub, spec
from qwen3_tts_export.checkpoint.config import CheckpointConfig, CodecConfig
from qwen3_tts_export.checkpoint.config_files import (
    CODEC_TYPE,
    parse_checkpoint,
    parse_codec,
    refuse_foreign,
)
from qwen3_tts_export.checkpoint.expected import expected_codec_tensors, expected_tensors
from qwen3_tts_export.checkpoint.json_file import read_json
from qwen3_tts_export.checkpoint.weights import TensorFile

TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer_config.json")
_CODEC_FOLDER = "speech_tokenizer"
_SAMPLE = 4096  # bytes hashed at either end of a tensor


@dataclass(frozen=True)
class CodecCheckpoint:
    """The codec alone: the standalone repository, or a checkpoint's speech_tokenizer folder."""

    folder: Path
    name: str
    revision: str | None
    config: CodecConfig
    config_json: Mapping[str, Any]
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
        folder = locate(source, revision)
        name, commit = identify(folder)
        checkpoint = cls(folder, name, commit, *_open_codec(folder))
        known = spec.find_spec(name)
        if known is not None:
            spec.check(known, checkpoint.config_json, checkpoint.codec, folder)
        return checkpoint

    @cached_property
    def fingerprint(self) -> str:
        """Like `Checkpoint.fingerprint`, over the codec's files."""
        return fingerprint([self.folder / "config.json"], [self.codec])

    @cached_property
    def codec_fingerprint(self) -> str:
        """Like `fingerprint`, over the codec's weights alone."""
        return fingerprint([], [self.codec])


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint: talker, code predictor, codec and, for base, the speaker encoder."""

    folder: Path
    name: str
    revision: str | None
    config: CheckpointConfig
    config_json: Mapping[str, Any]
    codec_json: Mapping[str, Any]
    talker: TensorFile
    """`talker.…` and, for base, `speaker_encoder.…`, as in model.safetensors."""
    codec: TensorFile
    """`decoder.…` and `encoder.…`, as in speech_tokenizer/model.safetensors."""

    @classmethod
    def open(cls, source: str | Path, *, revision: str | None = None) -> "Checkpoint":
        """Open a checkpoint and check all of it.

        Args:
            source: A folder, or a hub id such as `Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice`.
            revision: Of a hub id: a branch, tag or commit.

        Raises:
            CheckpointError: Something is missing, damaged or not supported.
        """
        folder = locate(source, revision)
        config_json = read_json(folder / "config.json")
        refuse_foreign(config_json, file=str(folder / "config.json"))
        codec_config = f"{_CODEC_FOLDER}/config.json"
        _need(folder, (*TOKENIZER_FILES, "generation_config.json", codec_config))
        codec_json = read_json(folder / codec_config)
        generation = read_json(folder / "generation_config.json")
        config = parse_checkpoint(config_json, codec_json, generation, folder=f"{folder}/")
        talker = TensorFile.open(folder)
        talker.check(expected_tensors(config))
        _, _, codec = _open_codec(folder / _CODEC_FOLDER)
        name, commit = identify(folder)
        checkpoint = cls(folder, name, commit, config, config_json, codec_json, talker, codec)
        known = spec.find_spec(name)
        if known is not None:
            spec.check(known, config_json, talker, folder)
            if known.codec is not None:
                spec.check(spec.load_spec(known.codec), codec_json, codec, folder / _CODEC_FOLDER)
        return checkpoint

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 that tells this checkpoint from others, in well under a second.

        It covers the config and tokenizer files whole and, of the weights, every header (names,
        dtypes, shapes) and the first and last 4 KiB of every tensor. Training or converting moves
        every tensor, so it shows; it is no proof against somebody who wants to hide a change.
        """
        names = ("config.json", "generation_config.json", *TOKENIZER_FILES)
        files = [self.folder / name for name in names]
        files.append(self.folder / _CODEC_FOLDER / "config.json")
        return fingerprint(files, [self.talker, self.codec])

    @cached_property
    def codec_fingerprint(self) -> str:
        """Like `fingerprint`, over the codec's weights alone."""
        return fingerprint([], [self.codec])


def open_checkpoint(
    source: str | Path, *, revision: str | None = None
) -> Checkpoint | CodecCheckpoint:
    """Open whatever it is: a whole checkpoint, or the codec alone.

    Raises:
        CheckpointError: As for `Checkpoint.open`.
    """
    folder = locate(source, revision)
    kind = read_json(folder / "config.json").get("model_type")
    return (CodecCheckpoint if kind == CODEC_TYPE else Checkpoint).open(folder)


def locate(source: str | Path, revision: str | None) -> Path:
    """Return the folder of a checkpoint; an existing folder wins over a hub id of the same name."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise CheckpointError(f"{folder} is a folder", "a revision belongs to a hub id")
        return folder
    if isinstance(source, str) and hub.is_hub_id(source):
        return hub.download(source, revision)
    raise CheckpointError(f"{source} is not a folder, nor a hub id such as owner/name")


def identify(folder: Path) -> tuple[str, str | None]:
    """Return a folder's name and commit; the hub's cache keeps both in the path."""
    path = folder.resolve()
    repository = path.parent.parent.name
    if path.parent.name == "snapshots" and repository.startswith("models--"):
        return repository.rsplit("--", 1)[1], path.name
    return path.name, None


def fingerprint(files: Iterable[Path], weights: Iterable[TensorFile]) -> str:
    """Hash `files` whole, and of `weights` the headers and both ends of every tensor."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    for tensors in weights:
        for file, header in tensors.headers.items():
            total.update(f"{file.name}\0".encode() + hashlib.sha256(header).digest())
            with file.open("rb") as stream:
                for entry in tensors.entries.values():
                    if entry.file == file:
                        stream.seek(entry.start)
                        total.update(stream.read(min(_SAMPLE, entry.end - entry.start)))
                        stream.seek(max(entry.start, entry.end - _SAMPLE))
                        total.update(stream.read(entry.end - stream.tell()))
    return total.hexdigest()


def _open_codec(folder: Path) -> tuple[CodecConfig, dict[str, Any], TensorFile]:
    config_json = read_json(folder / "config.json")
    config = parse_codec(config_json, file=str(folder / "config.json"))
    tensors = TensorFile.open(folder)
    tensors.check(expected_codec_tensors(config))
    return config, config_json, tensors


def _need(folder: Path, names: Iterable[str]) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} lacks {', '.join(missing)}; expected a whole Qwen3-TTS checkpoint",
            "download it again",
        )
