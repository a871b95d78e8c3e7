"""What the exporter looks up instead of computing it again leaves every graph as it is."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

from qwen3_tts_edge.bundle.graph_spec import TensorSpec
from qwen3_tts_export.graphs import once
from qwen3_tts_export.graphs import trace as tracing
from qwen3_tts_export.graphs.declared import Graph
from traces import proto_of

WIDTH = 8


class Mixed(nn.Module):
    """Has operands of several types, and what is computed from their sums, too."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(WIDTH, WIDTH))

    def forward(self, x: Tensor, half: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
        y = (whole * 0.5 + x) * half
        return torch.where(whole > 3, y, half) @ self.weight, y.sum(1) / whole.sum(1)


def mixed() -> Graph:
    def spec(name: str, dtype: str = "float32", shape: tuple = ("batch", WIDTH)) -> TensorSpec:
        return TensorSpec(name=name, dtype=dtype, shape=shape)

    return Graph(
        name="mixed",
        network=Mixed,
        weights={"weight": lambda: torch.empty(WIDTH, WIDTH)},
        inputs=(spec("x"), spec("half", "float16"), spec("whole", "int64")),
        outputs=(spec("y"), spec("z", shape=("batch",))),
        states=(),
    )


@pytest.mark.parametrize("flavour", ["ort", "trt"])
def test_a_graph_is_that_of_computing_all_again(
    flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = proto_of(tracing.trace(mixed(), flavour))
    assert "Cast" in {node.op_type for node in found.graph.node}  # there was what to promote
    monkeypatch.setattr(tracing, "once", nullcontext)
    assert proto_of(tracing.trace(mixed(), flavour)) == found


def test_the_table_is_filled_once_and_what_a_graph_adds_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = ONNXRegistry.from_torchlib
    times: list[int] = []

    def fill(*, opset_version: int) -> ONNXRegistry:
        times.append(opset_version)
        return usual(opset_version=opset_version)

    monkeypatch.setattr(once, "_registries", {})
    copies = once._copies_of(fill)
    first, second, other = (copies(opset_version=opset) for opset in (18, 18, 23))
    assert times == [18, 23]
    assert (first.opset_version, other.opset_version) == (18, 23)
    assert first.functions.keys() == usual(opset_version=18).functions.keys()
    first.register_op(torch.ops.aten.add.Tensor, lambda x, y: x)
    assert len(first.functions["aten::add.Tensor"]) == len(second.functions["aten::add.Tensor"]) + 1


def test_the_exporter_is_as_it_was_afterwards() -> None:
    before = vars(ONNXRegistry)["from_torchlib"]
    with once.once():
        assert vars(ONNXRegistry)["from_torchlib"] is not before
    assert vars(ONNXRegistry)["from_torchlib"] is before
