"""A module that is called again and again is traced once, and the graph is the same."""

from collections import Counter

import numpy as np
import onnxruntime as ort
import pytest
import torch
from onnxscript import ir
from torch import Tensor, nn

from qwen3_tts_edge.bundle.graph_spec import StateSpec, TensorSpec
from qwen3_tts_export.graphs import calls
from qwen3_tts_export.graphs.declared import Graph
from qwen3_tts_export.graphs.trace import trace

WIDTH = 8


class Inner(nn.Module):
    def __init__(self, *, called_often: bool) -> None:
        super().__init__()
        self.called_often = called_often
        self.weight = nn.Parameter(torch.empty(WIDTH, WIDTH))

    def forward(self, x: Tensor, past: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[Tensor]]:
        key, value = past[0]
        return torch.sin(x @ self.weight) + 0.25, [key + x.sum(1), value * 3.0]


class Outer(nn.Module):
    """Calls with two rows, and then twice with one."""

    def __init__(self, *, called_often: bool) -> None:
        super().__init__()
        self.inner = Inner(called_often=called_often)

    def forward(self, x: Tensor, past: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        (state,) = past
        rows, pair = torch.stack((x, x * 0.5), dim=1), [state, state]
        for _ in range(3):
            rows, pair = self.inner(rows, [(pair[0], pair[1])])
            rows = rows[:, -1:]
        return rows.squeeze(1) + 0.25, [pair[0] + pair[1]]


def graph(*, called_often: bool) -> Graph:
    def spec(name: str) -> TensorSpec:
        return TensorSpec(name=name, dtype="float32", shape=("batch", WIDTH))

    return Graph(
        name="outer",
        network=lambda: Outer(called_often=called_often),
        weights={"inner.weight": lambda: torch.empty(WIDTH, WIDTH)},
        inputs=(spec("x"),),
        outputs=(spec("y"),),
        states=(StateSpec(past=spec("past"), present="present"),),
    )


@pytest.mark.parametrize("flavour", ["ort", "trt"])
def test_the_graph_is_that_of_tracing_every_call(flavour: str) -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((WIDTH, WIDTH)).astype(np.float32)
    given = {name: rng.standard_normal((3, WIDTH)).astype(np.float32) for name in ("x", "past")}
    found = []
    for called_often in (True, False):
        model = trace(graph(called_often=called_often), flavour)
        assert not model.functions
        assert calls._functions == {}
        model.graph.initializers["inner.weight"].const_value = ir.tensor(weight)
        session = ort.InferenceSession(
            ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        kinds = Counter(node.op_type for node in model.graph)
        found.append((kinds, len(model.graph.initializers), session.run(None, given)))
    (kinds, stored, values), (expected_kinds, expected_stored, expected) = found
    assert kinds == expected_kinds
    assert kinds["MatMul"] == 3
    assert stored == expected_stored
    for value, reference in zip(values, expected, strict=True):
        assert np.array_equal(value, reference)


def test_its_body_is_traced_once_for_each_set_of_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []
    write_out = calls.write_out

    def seen(model: ir.Model, bodies: dict[str, ir.Model]) -> None:
        traced.extend(bodies)
        write_out(model, bodies)

    monkeypatch.setattr(calls, "write_out", seen)
    trace(graph(called_often=True), "ort")
    assert traced == ["inner.0", "inner.1"]
