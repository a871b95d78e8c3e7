"""A bundle for CUDA, as the CPU's kernels can run it.

There GroupQueryAttention takes query, key and value side by side and normalises them. On the CPU
these are nodes of their own, and are written in here as the operation's documentation says it.
"""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import helper, numpy_helper

from qwen3_tts_edge.bundle.manifest import FRAME, Manifest

Q_NORM, K_NORM = 14, 15


def on_the_cpu(bundle: Path, folder: Path) -> Path:
    """Write the bundle to `folder`, for the flavour `ort`."""
    folder.mkdir()
    manifest = Manifest.load(bundle)
    frame = manifest.graphs[FRAME].file
    for name in manifest.files:
        if name != frame:
            shutil.copy(bundle / name, folder)
    model = onnx.load(str(bundle / frame), load_external_data=False)
    taken_apart(model)
    (folder / frame).write_bytes(model.SerializeToString())
    msgspec.structs.replace(manifest, flavour="ort").save(folder)
    return folder


def taken_apart(model: onnx.ModelProto) -> None:
    """Split, normalise, then attend."""
    graph = model.graph
    shapes = {
        x.name: [size.dim_value for size in x.type.tensor_type.shape.dim]
        for x in (*graph.value_info, *graph.input)
    }
    nodes = []
    for node in graph.node:
        if node.op_type != "GroupQueryAttention":
            nodes.append(node)
            continue
        named = {x.name: helper.get_attribute_value(x) for x in node.attribute}
        heads, kv_heads = named["num_heads"], named["kv_num_heads"]
        name = node.output[0]
        size = shapes[node.input[3]][3]
        widths = [heads * size, kv_heads * size, kv_heads * size]
        shaped, flat = np.array([0, 0, -1, size]), np.array([0, 0, -1])
        for suffix, value in (("widths", np.array(widths)), ("heads", shaped), ("flat", flat)):
            graph.initializer.append(numpy_helper.from_array(value, f"{name}.{suffix}"))
        parts = [f"{name}.{part}" for part in "qkv"]
        nodes.append(helper.make_node("Split", [node.input[0], f"{name}.widths"], parts, axis=-1))
        for part, norm in zip(parts, (Q_NORM, K_NORM), strict=False):
            steps = [part, f"{part}.heads", f"{part}.normed", f"{part}.flat"]
            nodes.append(helper.make_node("Reshape", [steps[0], f"{name}.heads"], [steps[1]]))
            nodes.append(
                helper.make_node(
                    "RMSNormalization",
                    [steps[1], node.input[norm]],
                    [steps[2]],
                    axis=-1,
                    epsilon=named["qk_norm_epsilon"],
                )
            )
            nodes.append(helper.make_node("Reshape", [steps[2], f"{name}.flat"], [steps[3]]))
        nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [f"{parts[0]}.flat", f"{parts[1]}.flat", parts[2], *node.input[3:9]],
                node.output,
                domain=node.domain,
                num_heads=heads,
                kv_num_heads=kv_heads,
                do_rotary=named["do_rotary"],
            )
        )
    del graph.node[:]
    graph.node.extend(nodes)
