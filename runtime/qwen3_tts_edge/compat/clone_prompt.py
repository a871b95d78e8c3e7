"""What a Base checkpoint knows of a reference, with the official fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qwen3_tts_edge.arrays import Array, as_array
from qwen3_tts_edge.compat.options import check_strings
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.voices.voice import Clone


@dataclass
class VoiceClonePromptItem:
    """One reference, heard.

    Attributes:
        ref_code: int64 (frames, codebooks), or None where only the vector is used; a tensor where
            the program has loaded PyTorch, as the next, else an array.
        ref_spk_embedding: float32 (hidden,).
        x_vector_only_mode: Only the vector is used.
        icl_mode: In-context: the speech goes on from the reference. The opposite.
        ref_text: What the reference says; needed for `icl_mode`.
    """

    ref_code: Any
    ref_spk_embedding: Any
    x_vector_only_mode: bool
    icl_mode: bool
    ref_text: str | None = None


def clone(item: VoiceClonePromptItem) -> Clone:
    """Make a voice of an item.

    Raises:
        InputError: Something it needs is missing or no numbers.
    """
    vector = _numbers("ref_spk_embedding", item.ref_spk_embedding).astype(np.float32)
    if not item.icl_mode:
        return Clone(vector)
    check_strings("ref_text", [item.ref_text])
    if item.ref_code is None or not item.ref_text:
        raise InputError(
            "an item with icl_mode needs ref_code and ref_text",
            "give both, or make it with x_vector_only_mode=True",
        )
    codes = _numbers("ref_code", item.ref_code)
    if not np.issubdtype(codes.dtype, np.integer):
        raise InputError(f"ref_code is {codes.dtype}; expected whole numbers")
    return Clone(vector, codes.astype(np.int64), item.ref_text)


def items(prompt: Any) -> list[VoiceClonePromptItem]:
    """List the items of a `voice_clone_prompt`.

    It is a list, one item, the official dict of lists, or what the official demo saves:
    `{"items": [...]}` with a dict an item.

    Raises:
        InputError: Something else.
    """
    if isinstance(prompt, Mapping) and "items" in prompt:
        prompt = prompt["items"]
    elif isinstance(prompt, Mapping) and not isinstance(prompt.get("icl_mode"), bool):
        try:
            columns = [
                prompt[name]
                for name in ("ref_code", "ref_spk_embedding", "x_vector_only_mode", "icl_mode")
            ]
            return [VoiceClonePromptItem(*row) for row in zip(*columns, strict=True)]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"voice_clone_prompt lacks {error}, or its lists differ in length",
                "give what create_voice_clone_prompt returned",
            ) from error
    listed = prompt if isinstance(prompt, list) else [prompt]
    listed = [_saved(one) if isinstance(one, Mapping) else one for one in listed]
    for one in listed:
        # Not isinstance: an item that the official package has pickled is as good.
        if not all(hasattr(one, name) for name in VoiceClonePromptItem.__annotations__):
            raise InputError(
                f"voice_clone_prompt holds a {type(one).__name__}",
                "give what create_voice_clone_prompt returned",
            )
    return listed


def _saved(fields: Mapping[str, Any]) -> VoiceClonePromptItem:
    """Read an item that was saved as a dict; what it lacks is what the demo takes for it."""
    vector_only = bool(fields.get("x_vector_only_mode", False))
    if fields.get("ref_spk_embedding") is None:
        raise InputError(
            "an item of voice_clone_prompt lacks ref_spk_embedding",
            "give what create_voice_clone_prompt returned",
        )
    return VoiceClonePromptItem(
        fields.get("ref_code"),
        fields["ref_spk_embedding"],
        vector_only,
        bool(fields.get("icl_mode", not vector_only)),
        fields.get("ref_text"),
    )


def _numbers(name: str, given: Any) -> Array:
    found = as_array(name, given)
    if not np.issubdtype(found.dtype, np.number):
        raise InputError(f"{name} holds {found.dtype}; expected numbers")
    return found
