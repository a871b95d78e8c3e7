"""Of what onnxscript can make simpler, nothing is left."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from onnxscript import ir, optimizer

from qwen3_tts_edge.bundle.manifest import (
    CODEC_ENCODER,
    FRAME,
    PREDICTOR_STEP,
    SPEAKER_ENCODER,
    TALKER_STEP,
)


@pytest.mark.parametrize("graph", [CODEC_ENCODER, SPEAKER_ENCODER, FRAME])
def test_its_own_optimizer_finds_nothing_more(tiny_bundle: Callable[..., Path], graph: str) -> None:
    finds_nothing(tiny_bundle("base") / f"{graph}.onnx")


@pytest.mark.parametrize("flavour", ["trt", "compat"])
@pytest.mark.parametrize("graph", [TALKER_STEP, PREDICTOR_STEP])
def test_nor_in_two_halves_of_a_frame(
    bundle_in: Callable[..., Path], flavour: str, graph: str
) -> None:
    finds_nothing(bundle_in("same", flavour) / f"{graph}.onnx")


def finds_nothing(path: Path) -> None:
    model = ir.load(path)
    for weight in model.graph.initializers.values():
        if isinstance(weight.const_value, ir.ExternalTensor):
            weight.const_value = None  # as it was when the graph was traced
    before = Counter(node.op_type for node in model.graph)
    optimizer.optimize(model)
    assert Counter(node.op_type for node in model.graph) == before
