"""Rewrite a bundle's frame graph so that its KV cache is int8."""

from pathlib import Path

import msgspec
import onnx
from onnx import TensorProto, helper, numpy_helper

from qwen3_tts_edge.bundle.graph_spec import GraphSpec, StateSpec
from qwen3_tts_edge.bundle.manifest import FRAME, Manifest
from qwen3_tts_edge.bundle.own_files import FileSpec, sha256
from qwen3_tts_export.cache.ranges import Ranges, measure
from qwen3_tts_export.progress import Report

_LARGEST = 127
_ROOM = 1.25
"""What a channel may grow beyond the largest that was measured; more than that is cut."""
_FIRST_SCALE = 12
"""The input of GroupQueryAttention that is the keys' scales; the next is the values'."""
_PARTS = ("key", "value")


def narrow(folder: Path, report: Report = lambda *_: None) -> None:
    """Measure a bundle's KV cache and make it int8, in place.

    A channel has one scale, fixed here: what a slot's cache holds does not depend on the others.

    Args:
        folder: A bundle of flavour `ort`, complete but for its name.
        report: Called as the work proceeds.

    Source: contrib_ops/cpu/bert/gqa_attention_base.h of ONNX Runtime, which rounds what it writes
        and computes in float32.
    """
    ranges = measure(folder, report=report)
    manifest = Manifest.load(folder)
    spec = manifest.graphs[FRAME]
    path = folder / spec.file
    model = onnx.load(path, load_external_data=False)
    _rewrite(model.graph, ranges)
    onnx.save(model, path)
    files = {**manifest.files, path.name: FileSpec(size=path.stat().st_size, sha256=sha256(path))}
    graphs = {**manifest.graphs, FRAME: _described(spec, ranges)}
    msgspec.structs.replace(manifest, graphs=graphs, files=files).save(folder)


def _rewrite(graph: onnx.GraphProto, ranges: Ranges) -> None:
    values = {value.name: value for value in (*graph.input, *graph.output)}
    for node in graph.node:
        if node.op_type != "GroupQueryAttention" or node.input[3] not in ranges:
            continue
        node.input.extend([""] * (_FIRST_SCALE - len(node.input)))
        for part, past, present in zip(_PARTS, node.input[3:5], node.output[1:3], strict=True):
            scale = ranges[past].reshape(-1) * (_ROOM / _LARGEST)
            scale[scale == 0] = 1
            graph.initializer.append(numpy_helper.from_array(scale, f"{past}.scale"))
            node.input.append(f"{past}.scale")
            node.attribute.append(helper.make_attribute(f"{part[0]}_quant_type", "PER_CHANNEL"))
            for name in (past, present):
                values[name].type.tensor_type.elem_type = TensorProto.INT8
        node.attribute.append(helper.make_attribute("kv_cache_bit_width", 8))


def _described(spec: GraphSpec, ranges: Ranges) -> GraphSpec:
    def state(each: StateSpec) -> StateSpec:
        if each.past.name not in ranges:
            return each
        return msgspec.structs.replace(each, past=msgspec.structs.replace(each.past, dtype="int8"))

    return msgspec.structs.replace(spec, states=tuple(map(state, spec.states)))
