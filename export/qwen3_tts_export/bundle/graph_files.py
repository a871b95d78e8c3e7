"""Trace and write the graphs of a bundle one by one, and describe each for the manifest."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from qwen3_tts_edge.bundle import manifest as door
from qwen3_tts_edge.bundle.graph_spec import GraphSpec, RoundingSpec
from qwen3_tts_export.bundle.reads import count_reads
from qwen3_tts_export.checkpoint.safetensors_header import TensorEntry
from qwen3_tts_export.graphs.declared import Graph
from qwen3_tts_export.graphs.in_place import may_run_in_place
from qwen3_tts_export.graphs.trace import trace
from qwen3_tts_export.graphs.typed import typed
from qwen3_tts_export.graphs.weight_file import write_graph
from qwen3_tts_export.precision.blocks import Rounder, nearest
from qwen3_tts_export.precision.policy import Precision
from qwen3_tts_export.precision.rounding import Rounding
from qwen3_tts_export.progress import Report

_PREFIXES = {
    door.FRAME: "talker.",
    door.TALKER_STEP: "talker.model.",
    door.PREDICTOR_STEP: "talker.code_predictor.",
    door.SPEAKER_ENCODER: "speaker_encoder.",
    door.CODEC_DECODER: "decoder.",
    door.CODEC_ENCODER: "encoder.",
}


def write_graphs(
    graphs: Sequence[Graph],
    tensors: Mapping[str, TensorEntry],
    part: Path,
    precision: Precision,
    flavour: str,
    report: Report,
    rounder: Rounder = nearest,
) -> dict[str, GraphSpec]:
    """Write graphs and their weights.

    Args:
        graphs: What to write.
        tensors: Of the checkpoint: all that the graphs' weights come from.
        part: The folder they go to.
        precision: What they compute in.
        flavour: One of `flavours.FLAVOURS`.
        report: Called as the work proceeds, from 0.05 to 0.95 of the whole.
        rounder: Rounds the matrices that the precision wants in whole numbers.

    Returns:
        What the manifest says of each, by name.

    Raises:
        CheckpointError: A weight does not fit into the precision's type.
    """
    total, done = sum(_size(tensors, graph) for graph in graphs), 0
    specs = {}
    for graph in (typed(each, precision) for each in graphs):
        report(f"{graph.name}: tracing", 0.05 + 0.9 * done / total)
        model = trace(graph, flavour)

        def on_weight(size: int, name: str = graph.name) -> None:
            nonlocal done
            done += size
            report(f"{name}: weights", min(0.95, 0.05 + 0.9 * done / total))

        in_place, path = may_run_in_place(model, graph.states), part / f"{graph.name}.onnx"
        rounding = write_graph(model, graph.weights, precision, path, on_weight, rounder)
        specs[graph.name] = GraphSpec(
            file=path.name,
            inputs=graph.inputs,
            outputs=graph.outputs,
            states=graph.states,
            in_place=in_place,
            reads=count_reads(model),
            rounding=_counts(rounding, precision.activations(graph.name)),
        )
    return specs


def _counts(rounding: Rounding, dtype: str) -> RoundingSpec | None:
    return RoundingSpec(dtype=dtype, **dataclasses.asdict(rounding)) if rounding.numbers else None


def _size(tensors: Mapping[str, TensorEntry], graph: Graph) -> int:
    """Estimate the float32 bytes of a graph's weights, a measure of the work."""
    return 4 * sum(
        int(np.prod(entry.shape))
        for name, entry in tensors.items()
        if name.startswith(_PREFIXES[graph.name]) and "text_embedding" not in name
    )
