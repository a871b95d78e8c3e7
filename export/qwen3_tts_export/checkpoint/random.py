"""A complete checkpoint folder in the official format, with random weights.

It stands in for the released weights wherever only shapes, speed or exactness matter. The weights
are alive: activations stay around one through every layer, attention is not flat, logits are
several units apart and the codec's output stays inside [-1, 1]. On default initial values (zero
codebooks, layer scales of 1e-6) two different networks would agree.

Tensors are drawn and appended to the file in pieces, so the largest checkpoint needs well under
2 GiB of memory. Each tensor has its own generator, seeded from the seed and its name.
"""

import hashlib
import json
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import torch

from qwen3_tts_edge.errors import CheckpointError, InputError
from qwen3_tts_edge.files import whole_folder_or_nothing
from qwen3_tts_export.checkpoint.config import GenerationConfig
from qwen3_tts_export.checkpoint.config_files import parse_checkpoint, parse_codec
from qwen3_tts_export.checkpoint.expected import Shape, expected_codec_tensors, expected_tensors
from qwen3_tts_export.checkpoint.json_file import read_json
from qwen3_tts_export.checkpoint.opening import TOKENIZER_FILES
from qwen3_tts_export.checkpoint.space import check_space
from qwen3_tts_export.checkpoint.spec import load_spec, models_folder
from qwen3_tts_export.checkpoint.weights import DTYPES

_PIECE = 1 << 24  # elements drawn at a time: 64 MiB in fp32
_REST = 16 << 20  # bytes of all that is no weight

_PREPROCESSOR = {
    "feature_extractor_type": "EncodecFeatureExtractor",
    "feature_size": 1,
    "sampling_rate": 24000,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": True,
    "chunk_length_s": None,
    "overlap": None,
}


@dataclass(frozen=True)
class _Normal:
    mean: float
    std: float


@dataclass(frozen=True)
class _Uniform:
    low: float
    high: float


@dataclass(frozen=True)
class _Gain:
    """Normal with std `gain / sqrt(fan_in)`: output variance is gain² times the input's."""

    gain: float


_IDS_FROM = "qwen3-tts-12hz-0.6b-customvoice"
_TEXT_FROM = "edge-voice"

_CODEBOOK = r"\.(_?codebook)\."
# First match wins. The codec's gains were set so that random codes decode to |wav| of about 0.3.
_RECIPES: tuple[tuple[str, _Normal | _Uniform | _Gain], ...] = (
    (r"norm\.weight$", _Normal(1.0, 0.1)),
    (r"\.bias$", _Normal(0.0, 0.05)),
    (r"(layer_scale\.scale|\.gamma)$", _Uniform(0.1, 0.3)),
    (r"\.(alpha|beta)$", _Normal(0.0, 0.2)),
    (_CODEBOOK + r"cluster_usage$", _Uniform(1.0, 4.0)),
    (_CODEBOOK + r"(embedding_sum|embed_sum)$", _Normal(0.0, 2.0)),
    (_CODEBOOK + r"initialized$", _Normal(1.0, 0.0)),
    (r"talker\.model\.text_embedding\.weight$", _Normal(0.0, 1.0)),
    (r"talker\.model\.codec_embedding\.weight$", _Normal(0.0, 0.5)),
    (r"code_predictor\.model\.codec_embedding\.\d+\.weight$", _Normal(0.0, 0.25)),
    (r"(codec_head|lm_head\.\d+)\.weight$", _Gain(4.0)),
    (r"^encoder\.encoder\.layers\.0\.conv\.weight$", _Gain(8.0)),
    (r"^encoder\.(encoder|downsample)\..*weight$", _Gain(1.2)),
    (r"^decoder\.decoder\.6\.conv\.weight$", _Gain(0.05)),
    (r"^decoder\.decoder\.\d+\.block\.[234]\.conv2\.conv\.weight$", _Gain(0.3)),
    (r"", _Gain(0.8)),
)


def write_random(
    folder: Path,
    config_json: Mapping[str, Any],
    codec_config_json: Mapping[str, Any],
    *,
    seed: int,
    tokenizer_from: Path,
    dtype: torch.dtype = torch.bfloat16,
    generation_json: Mapping[str, Any] | None = None,
) -> Path:
    """Write a checkpoint folder that this project and the official package both open.

    The folder appears only when it is complete, see `files.whole_folder_or_nothing`.

    Args:
        folder: Where to write; must not exist yet.
        config_json: The content of config.json.
        codec_config_json: The content of speech_tokenizer/config.json.
        seed: The same seed gives the same bytes.
        tokenizer_from: A folder whose tokenizer files are copied.
        dtype: Of model.safetensors; the codec is always fp32, as released.
        generation_json: The content of generation_config.json; the official defaults if None.

    Raises:
        InputError: `folder` exists, or the disk is too small.
        CheckpointError: The config describes no checkpoint that could be opened.
    """
    generation = _official_defaults() if generation_json is None else dict(generation_json)
    config = parse_checkpoint(config_json, codec_config_json, generation)
    talker = expected_tensors(config)
    codec = expected_codec_tensors(parse_codec(codec_config_json))
    for name in TOKENIZER_FILES:
        if not (tokenizer_from / name).is_file():
            raise CheckpointError(f"{tokenizer_from / name} is missing; expected a text tokenizer")
    check_space(folder, _nbytes(talker, dtype) + _nbytes(codec, torch.float32) + _REST)
    with whole_folder_or_nothing(folder) as part:
        (part / "speech_tokenizer").mkdir()
        for name in TOKENIZER_FILES:
            shutil.copyfile(tokenizer_from / name, part / name)
        _write_json(part / "config.json", config_json)
        _write_json(part / "generation_config.json", generation)
        _write_json(part / "speech_tokenizer" / "config.json", codec_config_json)
        _write_json(part / "speech_tokenizer" / "preprocessor_config.json", _PREPROCESSOR)
        _write_tensors(part / "model.safetensors", talker, dtype, seed)
        _write_tensors(part / "speech_tokenizer" / "model.safetensors", codec, torch.float32, seed)
    return folder


def _official_defaults() -> dict[str, Any]:
    """Return the settings of the official files; `non_streaming_mode` is ours."""
    values = msgspec.structs.asdict(GenerationConfig())
    del values["non_streaming_mode"]
    return values


def random_from_spec(name: str, folder: Path, seed: int) -> Path:
    """Write a random checkpoint with the full shapes of a released one.

    Args:
        name: Of a spec in models/, such as `0.6b-customvoice` or `1.7b-base`.
        folder: Where to write; must not exist yet.
        seed: The same seed gives the same bytes.

    Raises:
        InputError: There is no such spec, `folder` exists, or the disk is too small.
    """
    config, codec, generation = released_json(name)
    return write_random(
        folder,
        config,
        codec,
        seed=seed,
        tokenizer_from=models_folder() / _TEXT_FROM,
        generation_json=generation,
    )


def released_json(name: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return (config.json, speech_tokenizer/config.json, generation_config.json) of a spec.

    The released text tokenizer is not at hand: the bundled voice's stands in for it, and the text
    ids in config.json are that tokenizer's. The text vocabulary keeps its full size. Ids that were
    not seen for one checkpoint are taken from the one where they were.

    Raises:
        InputError: There is no such spec, or it is the codec's.
    """
    spec = load_spec(name)
    if spec.codec is None:
        raise InputError(f"{spec.name} is the codec alone", "name a checkpoint that contains it")
    codec = load_spec(spec.codec)
    known = load_spec(_IDS_FROM).unasserted
    voice = read_json(models_folder() / _TEXT_FROM / "config.json")
    text_ids = {key: value for key, value in voice.items() if key.endswith("_token_id")}
    config = _merged(known["config"], spec.unasserted.get("config", {}))
    config = _merged(_merged(config, spec.config), text_ids)
    return config, _merged(codec.unasserted["config"], codec.config), dict(known["generation"])


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `over` on `under`, object by object; an empty object empties."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping) and value:
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged


def _nbytes(tensors: Mapping[str, Shape], dtype: torch.dtype) -> int:
    return sum(math.prod(shape) for shape in tensors.values()) * dtype.itemsize


def _write_json(file: Path, value: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_tensors(file: Path, tensors: Mapping[str, Shape], dtype: torch.dtype, seed: int) -> None:
    """Write one safetensors file: eight bytes of header length, a JSON header, then the data."""
    code = next(code for code, known in DTYPES.items() if known == dtype)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in tensors.items():
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little"))
        out.write(text)
        for name, shape in tensors.items():
            _append(out, name, shape, dtype, seed)


def _append(out: BinaryIO, name: str, shape: Shape, dtype: torch.dtype, seed: int) -> None:
    for piece in _draw(name, shape, seed):
        raw = piece.to(dtype).view(torch.uint8).numpy()
        out.write(raw.data)


def _draw(name: str, shape: Shape, seed: int) -> Iterator[torch.Tensor]:
    """Yield the tensor's values as flat fp32 pieces."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    recipe = next(recipe for pattern, recipe in _RECIPES if re.search(pattern, name))
    if isinstance(recipe, _Gain):
        recipe = _Normal(0.0, recipe.gain / math.sqrt(_fan_in(name, shape)))
    left = math.prod(shape)
    while left:
        piece = torch.empty(min(left, _PIECE))
        if isinstance(recipe, _Normal):
            piece.normal_(recipe.mean, recipe.std, generator=generator)
        else:
            piece.uniform_(recipe.low, recipe.high, generator=generator)
        left -= piece.numel()
        yield piece


def _fan_in(name: str, shape: Shape) -> int:
    """Count the products that add up to one output value."""
    if re.search(r"^decoder\.upsample\.\d+\.0\.conv", name):
        return shape[0]  # transposed, stride = kernel: one tap each
    if re.search(r"^decoder\.decoder\.\d+\.block\.1\.conv", name):
        return 2 * shape[0]  # transposed, stride = kernel / 2: two taps each
    return math.prod(shape[1:])
