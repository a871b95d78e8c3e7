"""Traces, each made once: graphs of the same network, flavour and types are the same graph.

Bundles of two precisions share their codec decoder, and so do those of two talkers. A trace takes
ten seconds and its bytes a tenth of one.
"""

import hashlib
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnxscript import ir
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from kept import Kept
from qwen3_tts_export.graphs.declared import Graph
from qwen3_tts_export.graphs.flavours import FLAVOURS

Trace = Callable[[Graph, str], ir.Model]
_ORDER = "initializers"


def traced_once(trace: Trace, kept: Kept) -> Trace:
    """`trace`, but what was traced before is read from its file."""

    def once(graph: Graph, flavour: str) -> ir.Model:
        def make(path: Path) -> None:
            model = trace(graph, flavour)
            save(model, path)
            assert proto_of(load(path)) == proto_of(model), "what is read is not what was written"

        return load(kept.get(f"{graph.name}-{key_of(graph, flavour)}.onnx", make))

    return once


def command_at(path: Path) -> Path:
    """Write a `qwen3-tts-export` to `path` that traces once."""
    path.write_text(
        f"""#!{sys.executable}
import sys
sys.path[:0] = {[*filter(None, sys.path)]!r}
import kept, traces
from qwen3_tts_export import cli
from qwen3_tts_export.bundle import graph_files
graph_files.trace = traces.traced_once(graph_files.trace, kept.traces())
cli.main()
"""
    )
    path.chmod(0o755)
    return path


def key_of(graph: Graph, flavour: str) -> str:
    """A hash of what a trace depends on, beside the code of `graphs` and `modules`."""
    wanted = FLAVOURS[flavour]
    with FakeTensorMode():
        network = graph.network()
    said = [
        graph.name,
        *map(str, (graph.inputs, graph.outputs, graph.states)),
        str(wanted.opset_of(graph.name)),
        *(
            f"{op}: {rule.__module__}.{rule.__qualname__}"
            for rules in (wanted.lowerings, wanted.definitions)
            for op, rule in rules.items()
        ),
        *(f"{name}: {tuple(x.shape)} {x.dtype}" for name, x in network.named_parameters()),
        *(f"{name}: {_settings(module)}" for name, module in network.named_modules()),
    ]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def _settings(module: nn.Module) -> str:
    """The class of a module and all that it was given, but for what is in it."""
    kind = type(module)
    given = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    assert not [*module.buffers(recurse=False)], f"{kind} has buffers, which are not looked at"
    said = f"{kind.__module__}.{kind.__qualname__} {given}"
    assert " at 0x" not in said, f"{said} says what it was given by an address"
    return said


def proto_of(model: ir.Model) -> onnx.ModelProto:
    """All of a trace but its initializers without value, which ONNX does not know."""
    logging.disable(logging.WARNING)  # which says so for each
    proto = ir.to_proto(model)
    logging.disable(logging.NOTSET)
    return proto


def save(model: ir.Model, path: Path) -> None:
    """Write a trace. Initializers without value become inputs."""
    proto = proto_of(model)
    there = {x.name for x in proto.graph.initializer}
    for name, value in model.graph.initializers.items():
        if name not in there:
            proto.graph.input.append(ir.serde.serialize_value(value))
    order: Any = proto.metadata_props.add()
    order.key, order.value = _ORDER, json.dumps(list(model.graph.initializers))
    onnx.save(proto, path)


def load(path: Path) -> ir.Model:
    """Read a trace, to be changed at will."""
    model = ir.from_proto(onnx.load(path))
    graph, order = model.graph, json.loads(model.metadata_props.pop(_ORDER))
    values = dict(graph.initializers)
    for _ in range(len(order) - len(values)):
        value = graph.inputs.pop()
        values[value.name or ""] = value
    graph.initializers.clear()
    for name in order:
        graph.initializers.add(values[name])
    return model
