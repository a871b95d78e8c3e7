"""A frame's feedback is summed in one order, however many rows are beside it."""

import functools
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxscript import ir
from torch import Tensor, nn

from qwen3_tts_edge.bundle.graph_spec import TensorSpec
from qwen3_tts_edge.bundle.manifest import FRAME
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.graphs.declared import Graph
from qwen3_tts_export.graphs.trace import trace
from qwen3_tts_export.modules.ordered_sum import ordered_sum
from tiny import EDGE_VOICE

BATCH, TERMS, WIDTH = 8, 16, 64


class InOrder(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return ordered_sum(list(torch.split(x, 1, dim=1)))


class Reduced(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True)


def summed(network: Callable[[], nn.Module], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What it makes of all rows in one launch, and of each in a launch of its own."""
    graph = Graph(
        name="sum",
        network=network,
        weights={},
        inputs=(TensorSpec(name="x", dtype="float32", shape=("batch", TERMS, WIDTH)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=("batch", 1, WIDTH)),),
        states=(),
    )
    session = ort.InferenceSession(
        ir.to_proto(trace(graph, "ort")).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (together,) = session.run(None, {"x": rows})
    alone = [session.run(None, {"x": row[None]})[0] for row in rows]
    return together[:, 0], np.concatenate(alone)[:, 0]


def test_a_sum_in_order_has_the_same_bits_in_company() -> None:
    """Where a reduction does not: its last bits were heard as another pitch."""
    rows = np.random.default_rng(0).standard_normal((BATCH, TERMS, WIDTH)).astype(np.float32)
    together, alone = summed(InOrder, rows)
    assert np.array_equal(alone, functools.reduce(np.add, rows.swapaxes(0, 1)))
    assert np.array_equal(together, alone)
    assert not np.array_equal(*summed(Reduced, rows))


def test_the_feedback_of_a_frame_is_such_a_sum() -> None:
    """In nodes of eight terms at most, which is what CUDA adds in one launch."""
    graph = onnx.load(str(EDGE_VOICE / "int8" / f"{FRAME}.onnx"), load_external_data=False).graph
    sums = [node for node in graph.node if node.op_type == "Sum"]
    terms = [name for node in sums for name in node.input]
    between = [name for node in sums[:-1] for name in node.output]
    assert len(terms) - len(between) == Checkpoint.open(EDGE_VOICE).config.talker.num_codebooks
    assert [node.input[0] for node in sums[1:]] == between
    assert max(len(node.input) for node in sums) == 8
