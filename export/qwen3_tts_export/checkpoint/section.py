"""What sections of config files have in common: ranges of numbers, a transformer, refusals."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Counts = Annotated[tuple[Count, ...], Meta(min_length=1)]
Few = Annotated[int, Meta(ge=1, le=1024)]
"""Of parts whose tensors are counted off by name: a damaged number would never come to an end."""

Positive = Annotated[float, Meta(gt=0)]

NAMES = {
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "max_positions": "max_position_embeddings",
}
"""Of fields that transformers have: the name here, and that in the official files."""


class RopeScaling(msgspec.Struct, frozen=True):
    """The kind of rotary positions, under its newer and its older name."""

    rope_type: str = "default"
    type: str = "default"

    def __post_init__(self) -> None:
        must_be(self, "scaled rotary positions are not implemented", rope_type="default")
        must_be(self, "scaled rotary positions are not implemented", type="default")


class Stack(msgspec.Struct, frozen=True, kw_only=True, rename=NAMES):
    """What every transformer of a checkpoint has."""

    hidden_size: Count
    intermediate_size: Count
    num_layers: Few
    num_heads: Count
    num_kv_heads: Count
    head_dim: Count
    rope_theta: Positive
    rope_scaling: RopeScaling | None = None
    attention_bias: bool = False
    hidden_act: str = "silu"
    activation: ClassVar[str] = "silu"

    def __post_init__(self) -> None:
        must_be(self, "attention biases are not implemented", attention_bias=False)
        must_be(self, "other activations are not implemented", hidden_act=self.activation)


def must_be(section: msgspec.Struct, why: str, **only: Any) -> None:
    """Refuse what the modules do not implement, rather than compute something else."""
    names = dict(zip(section.__struct_fields__, section.__struct_encode_fields__, strict=True))
    for name, expected in only.items():
        found = getattr(section, name)
        if found != expected:
            raise ValueError(
                f"{names[name]} is {json.dumps(found)}, expected {json.dumps(expected)}: {why}"
            )


def are_within(size: int, ids: Mapping[str, int]) -> None:
    """Refuse an id that a vocabulary of `size` does not have."""
    for name, found in ids.items():
        if not 0 <= found < size:
            raise ValueError(f"{name} is {found}, outside the vocabulary of {size}")
