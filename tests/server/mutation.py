"""Messages that a client should not send, made from those that it may."""

import copy
import json
import random
from typing import Any

_VALUES: list[Any] = [
    None, True, 0, -1, 2**70, 1e308, float("nan"), "", " ", "\0", "\ud800", "<|im_end|>", "\u200b",
    "é🎉", "../../etc", [], {}, [[]], {"id": None}, "a" * 5_000,
]  # fmt: skip


def mutated(message: Any, rng: random.Random) -> str | bytes:
    """Change a message a little, beyond recognition, or not at all."""
    message = json.loads(message) if isinstance(message, str) else copy.deepcopy(message)
    return rng.choice(_WAYS)(message, rng)


def _as_it_is(message: Any, _: random.Random) -> str:
    return json.dumps(message)


def _other_values(message: Any, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 3)):
        holder, key = rng.choice(_places(message))
        holder[key] = copy.deepcopy(rng.choice(_VALUES))
    return json.dumps(message)


def _other_keys(message: Any, rng: random.Random) -> str:
    holder, key = rng.choice(_places(message))
    value = holder.pop(key)
    if isinstance(holder, dict) and rng.random() < 0.7:
        holder[rng.choice(["type", "text", "context_id", "voice", "input", ""])] = value
    return json.dumps(message)


def _other_characters(message: Any, rng: random.Random) -> str:
    characters = list(json.dumps(message))
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(characters))
        characters[at : at + rng.randint(0, 3)] = rng.choice(['"', "{", "}", "\\", ",", "\0", "é"])
    return "".join(characters)


def _cut(message: Any, rng: random.Random) -> str:
    text = json.dumps(message)
    return text[: rng.randrange(len(text))]


def _bytes(message: Any, rng: random.Random) -> bytes:
    return json.dumps(message).encode() if rng.random() < 0.5 else rng.randbytes(rng.randint(0, 99))


def _enormous(message: Any, rng: random.Random) -> str:
    deep = "[" * 50_000
    return rng.choice([deep, '{"context_id":' + deep, json.dumps({**message, "x": "y" * 200_000})])


def _nothing_like_it(_: Any, rng: random.Random) -> str:
    return json.dumps(rng.choice(_VALUES))


_WAYS = (
    _as_it_is, _other_values, _other_values, _other_keys, _other_characters, _cut, _bytes,
    _enormous, _nothing_like_it,
)  # fmt: skip


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Find everything in a message that can be replaced: who holds it, and where."""
    places: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            places += [(value, key), *_places(value[key])]
    return places
