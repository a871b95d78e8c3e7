"""A checkpoint's folder, part by part: each is read and checked when it is asked for."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.codec_config import CodecConfig
from qwen3_tts_export.checkpoint.config import CheckpointConfig
from qwen3_tts_export.checkpoint.config_files import (
    parse_checkpoint,
    parse_codec,
    refuse_foreign,
    with_rope_theta,
)
from qwen3_tts_export.checkpoint.copies import refuse_copy_by_config, refuse_copy_by_files
from qwen3_tts_export.checkpoint.expected import expected_codec_tensors, expected_tensors
from qwen3_tts_export.checkpoint.identity import cure, identify
from qwen3_tts_export.checkpoint.json_file import read_json
from qwen3_tts_export.checkpoint.names import folded
from qwen3_tts_export.checkpoint.official_name import hold
from qwen3_tts_export.checkpoint.spec import CODEC_FOLDER, Spec, find_spec, load_spec
from qwen3_tts_export.checkpoint.text_tokenizer import read_text_tokenizer
from qwen3_tts_export.checkpoint.token_ids import check_token_ids
from qwen3_tts_export.checkpoint.tokenizer_files import tokenizer_files
from qwen3_tts_export.checkpoint.weights import TensorFile

_CODEC = (
    "name one with --codec, such as --codec Qwen/Qwen3-TTS-Tokenizer-12Hz, or copy that of the "
    "checkpoint it was trained from"
)


class CodecParts:
    """The parts of a codec. Whatever is asked for raises a `CheckpointError` if it is not right."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def config_json(self) -> dict[str, Any]:
        """What config.json holds, rotary positions spelt as published."""
        return with_rope_theta(read_json(self.folder / "config.json"))

    @cached_property
    def config(self) -> CodecConfig:
        """Its numbers."""
        return parse_codec(self.config_json, file=str(self.folder / "config.json"))

    @cached_property
    def codec(self) -> TensorFile:
        """Its weights."""
        tensors = TensorFile.open(self.folder)
        tensors.check(expected_codec_tensors(self.config))
        return tensors

    def hold(self) -> None:
        """Hold it to the spec of its name, if it bears an official one."""
        spec = find_spec(identify(self.folder)[0])
        if spec is not None:
            self.hold_to(spec)

    def hold_to(self, spec: Spec) -> None:
        """Hold it to a spec."""
        hold(spec, self.config_json, self.codec, self.folder)

    def steps(self) -> list[Callable[[], object]]:
        """List what finds all that can be wrong with it, but for the values of the weights."""
        return [lambda: self.config, lambda: self.codec, self.hold]

    @property
    def weights(self) -> list[TensorFile]:
        """All weights."""
        return [self.codec]


class Parts:
    """The parts of a whole checkpoint; as for `CodecParts`."""

    def __init__(self, folder: Path, codec: Path | None = None) -> None:
        """Take the checkpoint's folder, and the codec's if it is another than speech_tokenizer."""
        self.folder = folder
        self._elsewhere = codec

    @cached_property
    def config_json(self) -> dict[str, Any]:
        """What config.json holds, rotary positions spelt as published."""
        file = self.folder / "config.json"
        refuse_copy_by_files(self.folder)
        values = with_rope_theta(read_json(file))
        refuse_copy_by_config(values, file)
        refuse_foreign(values, file=str(file))
        return values

    @cached_property
    def codec_parts(self) -> CodecParts:
        """The codec."""
        folder = self._elsewhere or self.folder / CODEC_FOLDER
        if not (folder / "config.json").is_file():
            raise CheckpointError(
                f"{folder / 'config.json'} is missing; expected a codec", cure(folder, _CODEC)
            )
        return CodecParts(folder)

    @cached_property
    def config(self) -> CheckpointConfig:
        """All numbers."""
        config, codec = self.config_json, self.codec_parts
        file = self.folder / "generation_config.json"
        if not file.is_file():
            raise CheckpointError(
                f"{file} is missing; expected sampling defaults",
                cure(file, "take that of the checkpoint it was trained from"),
            )
        parsed = parse_checkpoint(
            config,
            codec.config_json,
            read_json(file),
            folder=f"{self.folder}/",
            codec_folder=f"{codec.folder}/",
        )
        for what in ("speakers", "languages"):
            folded(getattr(parsed.talker, what), what, f"{self.folder / 'config.json'}")
        return parsed

    @cached_property
    def talker(self) -> TensorFile:
        """The weights in model.safetensors."""
        tensors = TensorFile.open(self.folder)
        tensors.check(expected_tensors(self.config))
        return tensors

    @cached_property
    def codec(self) -> TensorFile:
        """The weights of the codec."""
        return self.codec_parts.codec

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The text tokenizer, which makes the ids that config.json says."""
        tokenizer = read_text_tokenizer(self.folder)
        check_token_ids(tokenizer, self.config, self.folder)
        return tokenizer

    @cached_property
    def text_files(self) -> list[Path]:
        """What says how text is spoken: configs and the files of the tokenizer."""
        names = ("config.json", "generation_config.json")
        return [*(self.folder / name for name in names), *tokenizer_files(self.folder)]

    def hold(self) -> None:
        """Hold it to the spec of its name, if it bears an official one."""
        spec = find_spec(identify(self.folder)[0])
        if spec is not None:
            hold(spec, self.config_json, self.talker, self.folder)
            if spec.codec is not None:
                self.codec_parts.hold_to(load_spec(spec.codec))

    def steps(self) -> list[Callable[[], object]]:
        """List what finds all that can be wrong with it, but for the values of the weights."""
        return [
            lambda: self.config_json,
            lambda: self.config,
            lambda: self.talker,
            lambda: self.codec,
            lambda: self.tokenizer,
            self.hold,
        ]

    @property
    def weights(self) -> list[TensorFile]:
        """All weights."""
        return [self.talker, self.codec]
