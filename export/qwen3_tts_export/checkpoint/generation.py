"""The sampling defaults of a checkpoint: generation_config.json."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from qwen3_tts_edge.bundle.manifest import Positive, Rank, Share, Tokens
from qwen3_tts_export.checkpoint.json_file import convert

_LARGEST = 2.0**53
"""Beyond it floats have no digits for each whole number."""

_SAMPLERS = (
    ("do_sample", "temperature", "top_p"),
    ("subtalker_dosample", "subtalker_temperature", "subtalker_top_p"),
)


class GenerationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Sampling defaults; what generation_config.json leaves out is the official default."""

    do_sample: bool = True
    temperature: Positive = 0.9
    top_k: Rank = 50
    """0 keeps all codes."""
    top_p: Share = 1.0
    repetition_penalty: Positive = 1.05
    subtalker_dosample: bool = True
    subtalker_temperature: Positive = 0.9
    subtalker_top_k: Rank = 50
    subtalker_top_p: Share = 1.0
    max_new_tokens: Tokens = 2048
    """Frames, and the code that ends speech."""
    non_streaming_mode: bool = True
    """Whether the whole text stands in the prompt. Ours: the official files do not have it, and
    for a base checkpoint the official default is that it does not."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)}, expected a finite number")


def parse_generation(
    values: Mapping[str, Any],
    *,
    file: str = "generation_config.json",
    non_streaming_mode: bool = True,
) -> GenerationConfig:
    """Read generation_config.json; a setting it leaves out takes the official package's default.

    So does null. A temperature or a top_p of 0 leaves only the most likely code: greedy decoding.

    Args:
        values: The content of the file.
        file: Its name, for messages.
        non_streaming_mode: The default of that setting, which the kind of checkpoint decides.

    Raises:
        CheckpointError: A setting is of the wrong type or out of range.
    """
    given = {key: _whole(value) for key, value in values.items() if value is not None}
    for sample, *zeros in _SAMPLERS:
        for name in zeros:
            if given.get(name) == 0 and not isinstance(given[name], bool):
                del given[name]
                given[sample] = False
    return convert({"non_streaming_mode": non_streaming_mode, **given}, GenerationConfig, file)


def _whole(value: Any) -> Any:
    """Read 50.0 as 50: some programs write every number as a float."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST
    return int(value) if whole else value
