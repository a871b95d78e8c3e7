"""Random tensors that are alive, written as one safetensors file.

Activations stay around one through every layer, attention is not flat, logits are several units
apart and the codec's output stays inside [-1, 1]. On default initial values (zero codebooks, layer
scales of 1e-6) two different networks would agree.

Tensors are drawn and appended to the file in pieces, so the largest checkpoint needs well under
2 GiB of memory. Each tensor has its own generator, seeded from the seed and its name.
"""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from qwen3_tts_export.checkpoint.expected import Shape
from qwen3_tts_export.checkpoint.safetensors_header import header_bytes
from qwen3_tts_export.checkpoint.weights import DTYPES
from qwen3_tts_export.progress import Report

Metadata = Mapping[str, str]

_PIECE = 1 << 24  # elements drawn at a time: 64 MiB in fp32


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


def write_tensors(
    file: Path,
    tensors: Mapping[str, Shape],
    dtype: torch.dtype,
    seed: int,
    metadata: Metadata | None = None,
    report: Report = lambda *_: None,
) -> None:
    """Write a safetensors file of random tensors.

    Args:
        file: Where.
        tensors: Their names and shapes.
        dtype: Of all of them.
        seed: The same seed gives the same bytes.
        metadata: What the header says beside them.
        report: Called as the work proceeds.
    """
    total, done = sum(map(math.prod, tensors.values())), 0
    with file.open("wb") as out:
        out.write(header(tensors, dtype, metadata))
        for name in sorted(tensors):
            for piece in _draw(name, tensors[name], seed):
                report(file.name, done / total)
                out.write(piece.to(dtype).view(torch.uint8).numpy().data)
                done += piece.numel()


def header(
    tensors: Mapping[str, Shape], dtype: torch.dtype, metadata: Metadata | None = None
) -> bytes:
    """Write what a safetensors file begins with; tensors lie by their names, as published."""
    code = next(code for code, known in DTYPES.items() if known == dtype)
    entries = {}
    end = 0
    for name in sorted(tensors):
        start, end = end, end + math.prod(tensors[name]) * dtype.itemsize
        entries[name] = {"dtype": code, "shape": tensors[name], "data_offsets": [start, end]}
    return header_bytes(entries, metadata)


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
