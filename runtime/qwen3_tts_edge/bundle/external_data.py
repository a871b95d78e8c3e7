"""Which files hold the weights of an ONNX graph, read from the graph without a library for ONNX.

A tensor that lies in another file has an entry `external_data`, field 13 of `TensorProto`, with the
key `location` and the file's name. Whatever reads graphs opens what stands there, so what vouches
for a graph must look at it.

Source: StringStringEntryProto and TensorProto in onnx/onnx.proto; encoding of Protocol Buffers.
"""

import re
from pathlib import Path

_KEY = re.compile(rb"(?<=[\x00\x08])location")
"""The word behind its length, 8, in the shortest form, or in a longer one, which ends in 0."""

_BEFORE = re.compile(rb"\x6a(.)\x0a\x08", re.DOTALL)
"""How an entry begins, as libraries write it: field 13, its length, and field 1 of 8 bytes."""


def weight_files(graph: Path) -> set[str]:
    """Name the files that a graph's tensors lie in.

    Args:
        graph: The `.onnx` file.

    Returns:
        Their names, "" for one that is told in another way than libraries tell it.
    """
    data = graph.read_bytes()
    return {_named(data, found.start()) for found in _KEY.finditer(data)}


def _named(data: bytes, key: int) -> str:
    """Read the entry whose key begins there."""
    before = _BEFORE.fullmatch(data, max(0, key - 4), key)
    value = key + len(b"location")
    if before is None or data[value : value + 1] != b"\x12" or len(data) < value + 2:
        return ""
    length, end = data[value + 1], value + 2 + data[value + 1]
    if before[1][0] != end - key + 2 or length > 100 or len(data) < end:
        return ""
    return data[value + 2 : end].decode(errors="replace")
