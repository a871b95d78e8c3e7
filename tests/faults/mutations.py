"""Files that were changed a little, or beyond recognition, by chance."""

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

import onnx
from google.protobuf.message import EncodeError

Mutate = Callable[[bytes, Random], bytes]

_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 15, 2**31 - 1, 2**31, 2**63 - 1, -(2**63), 2**64, 10**30, 0.5,
    -0.0, 1e-320, 1e308, float("inf"), float("nan"), "", " ", "x", "\0", "é🎉", "\ud800", "..", "/",
    "../../etc/passwd", "/dev/zero", "frames", "1920*frames", "0/0", "-1", "float32", "a" * 5_000,
    [], {}, [[]], [0], [""], {"": 0}, [None] * 50,
]  # fmt: skip
_SPECIAL = [b"\0", b"\xff", b"\x7f", b"\x80", b"\x01", b"0", b"9", b"-", b'"', b"{", b"[", b"\n"]


def in_bytes(first: int | None = None) -> Mutate:
    """Change bytes: of a header of so many, mostly, or anywhere."""

    def mutate(data: bytes, chance: Random) -> bytes:
        changed = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 5))):
            head = first is not None and chance.random() < 0.8
            end = max(1, min(len(changed), first or 0) if head else len(changed))
            at = chance.randrange(end)
            chance.choice(_WAYS)(changed, at, chance)
        return bytes(changed)

    return mutate


def in_json(data: bytes, chance: Random) -> bytes:
    """Change values, keys and places of a JSON file, or its bytes."""
    if chance.random() < 0.15:
        return in_bytes()(data, chance)
    if chance.random() < 0.01:
        return chance.choice((b"[", b'{"a":')) * 100_000
    content = json.loads(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = _places(content)
        if not places:
            break
        holder, key = chance.choice(places)
        way = chance.random()
        if way < 0.15:
            del holder[key]
        elif way < 0.25 and isinstance(holder, dict):
            holder[chance.choice((f"{key}_", "x", "file", key.upper()))] = holder.pop(key)
        elif way < 0.4:
            other, name = chance.choice(places)
            holder[key] = copy.deepcopy(other[name]) if name in _keys(other) else None
        elif way < 0.6 and type(holder[key]) is int:
            holder[key] += chance.choice((-1, 1, 2, 16, 1000, -holder[key]))
        else:
            holder[key] = copy.deepcopy(chance.choice(_VALUES))
    return json.dumps(content).encode()


def in_onnx(data: bytes, chance: Random) -> bytes:
    """Change what a graph says, and leave it a graph, or change bytes."""
    if chance.random() < 0.3:
        return in_bytes(20_000)(data, chance)
    model = onnx.ModelProto.FromString(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        node = chance.choice(model.graph.node)
        weight = chance.choice(model.graph.initializer)
        chance.choice(_IN_GRAPHS)(model.graph, node, weight, chance)
    try:
        return model.SerializeToString()
    except EncodeError:  # two changes of one node may leave nothing that can be written
        return in_bytes(20_000)(data, chance)


def _other_operator(graph: Any, node: Any, _: Any, chance: Random) -> None:
    node.op_type = chance.choice(graph.node).op_type


def _other_input(graph: Any, node: Any, _: Any, chance: Random) -> None:
    if node.input:
        # A bias of that name ends the process in ONNX Runtime 1.32, valid as it is.
        none = [""] if node.op_type != "LayerNormalization" else []
        names = [*chance.choice(graph.node).input, *none, "nothing"]
        node.input[chance.randrange(len(node.input))] = chance.choice(names)


def _fewer_inputs(_: Any, node: Any, __: Any, chance: Random) -> None:
    if node.input:
        del node.input[chance.randrange(len(node.input))]


def _other_attribute(_: Any, node: Any, __: Any, chance: Random) -> None:
    for attribute in node.attribute:
        attribute.i += chance.choice((-1, 1, 2, 1000, 2**40))
        attribute.f *= chance.choice((-1.0, 0.0, 1e30))
        if attribute.ints:
            attribute.ints[chance.randrange(len(attribute.ints))] = chance.choice(_SIZES)


def _other_shape(_: Any, __: Any, weight: Any, chance: Random) -> None:
    if weight.dims:
        weight.dims[chance.randrange(len(weight.dims))] = chance.choice(_SIZES)


def _other_type(_: Any, __: Any, weight: Any, chance: Random) -> None:
    weight.data_type = chance.randrange(25)


def _other_place(_: Any, __: Any, weight: Any, chance: Random) -> None:
    for each in weight.external_data:
        number = each.key in ("offset", "length")
        each.value = chance.choice(("-1", "4096", str(2**62)) if number else _PLACES)


def _no_node(graph: Any, node: Any, _: Any, __: Random) -> None:
    graph.node.remove(node)


def _axis(graph: Any, _: Any, __: Any, chance: Random) -> None:
    value = chance.choice((*graph.input, *graph.output))
    dims = value.type.tensor_type.shape.dim
    if dims:
        dims[chance.randrange(len(dims))].dim_value = chance.choice(_SIZES)


_SIZES = (-1, 0, 1, 2, 3, 7, 64, 4096, 2**31, 2**62)
_PLACES = ("", "nothing.data", "../frame.data", "/etc/passwd", "/dev/zero", "manifest.json")
_IN_GRAPHS = (
    _other_operator, _other_input, _fewer_inputs, _other_attribute, _other_attribute, _other_shape,
    _other_type, _other_place, _no_node, _axis,
)  # fmt: skip


def in_safetensors(data: bytes, chance: Random) -> bytes:
    """Change the header, which is JSON behind its length; the length is kept true, mostly."""
    end = 8 + int.from_bytes(data[:8], "little")
    if chance.random() < 0.3:
        return in_bytes(end)(data, chance)
    header = in_json(data[8:end], chance)
    if chance.random() < 0.5:
        return data[:8] + header[: end - 8].ljust(end - 8) + data[end:]
    return len(header).to_bytes(8, "little") + header + data[end:]


def _flip(data: bytearray, at: int, chance: Random) -> None:
    data[at : at + 1] = bytes([(data[at] if at < len(data) else 0) ^ 1 << chance.randrange(8)])


def _special(data: bytearray, at: int, chance: Random) -> None:
    value = chance.choice(_SPECIAL) * chance.choice((1, 2, 4, 8))
    data[at : at + len(value)] = value


def _number(data: bytearray, at: int, chance: Random) -> None:
    """A number of 16, 32 or 64 bits where it may stand."""
    width = chance.choice((2, 4, 8))
    number = chance.choice((0, 1, 7, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, -1))
    at -= at % 2
    data[at : at + width] = (number % 2 ** (8 * width)).to_bytes(width, "little")


def _cut(data: bytearray, at: int, _: Random) -> None:
    del data[at:]


def _without(data: bytearray, at: int, chance: Random) -> None:
    del data[at : at + chance.choice((1, 2, 4, 64))]


def _again(data: bytearray, at: int, chance: Random) -> None:
    data[at:at] = data[at : at + chance.choice((1, 4, 64, 1000))]


def _random(data: bytearray, at: int, chance: Random) -> None:
    data[at : at + 8] = chance.randbytes(chance.randint(0, 16))


_WAYS = (_flip, _flip, _special, _number, _number, _cut, _without, _again, _random)


def _places(value: Any) -> list[tuple[Any, Any]]:
    found, holders = [], [value]
    for holder in holders:  # which grow
        keys = _keys(holder)
        found += [(holder, key) for key in keys]
        holders += [holder[key] for key in keys]
    return found


def _keys(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value)
    return list(range(len(value))) if isinstance(value, list) else []
