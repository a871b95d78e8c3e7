"""A bundle of one small graph, for TensorRT, which builds its engine in a moment."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from qwen3_tts_edge.bundle.graph_spec import GraphSpec, ReadsSpec, StateSpec, TensorSpec
from qwen3_tts_edge.bundle.manifest import TALKER_STEP
from qwen3_tts_export.bundle.description import describe
from qwen3_tts_export.checkpoint.opening import Checkpoint
from tiny import EDGE_VOICE

CACHE = ("batch", 2, "capacity", 16)
SPEC = GraphSpec(
    file=f"{TALKER_STEP}.onnx",
    inputs=(
        TensorSpec(name="rows", dtype="float16", shape=("batch", 2, "rows", 16)),
        TensorSpec(name="position", dtype="int64", shape=("batch",)),
    ),
    outputs=(TensorSpec(name="sum", dtype="float16", shape=("batch", 2, 1, 16)),),
    states=(
        StateSpec(
            past=TensorSpec(name="past_key_values.0.key", dtype="float16", shape=CACHE),
            present="present.0.key",
        ),
    ),
    in_place=True,
    reads=ReadsSpec(0, 0, 0),
)


def write_small_bundle(
    folder: Path, adding: str = "ReduceSum", spec: GraphSpec = SPEC, flavour: str = "trt"
) -> Path:
    """Write it. The graph writes rows into a cache and adds up what is in it, by node `adding`."""
    cache = "past_key_values.0.key"
    nodes = [
        helper.make_node("Mul", ["rows", "weight"], ["update"]),
        helper.make_node("TensorScatter", [cache, "update", "position"], ["present.0.key"]),
        helper.make_node(adding, ["present.0.key", "axis"], ["sum"], "adding", keepdims=1),
    ]
    weights = [
        numpy_helper.from_array(np.full((1, 2, 1, 16), 0.5, np.float16), "weight"),
        numpy_helper.from_array(np.array([2]), "axis"),
    ]
    types = {"float16": TensorProto.FLOAT16, "int64": TensorProto.INT64}
    inputs, outputs = (
        [helper.make_tensor_value_info(t.name, types[t.dtype], t.shape) for t in tensors]
        for tensors in (
            [*SPEC.inputs, SPEC.states[0].past],
            [*SPEC.outputs, TensorSpec(name="present.0.key", dtype="float16", shape=CACHE)],
        )
    )
    graph = helper.make_graph(nodes, "small", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
    folder.mkdir()
    onnx.save(model, folder / spec.file)
    checkpoint = Checkpoint.open(EDGE_VOICE)
    describe(checkpoint, folder, "fp16", flavour, {TALKER_STEP: spec}).save(folder)
    return folder
