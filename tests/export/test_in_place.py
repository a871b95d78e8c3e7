"""The proof that a state may have one buffer, on graphs made by hand."""

import onnx
import pytest
from onnxscript import ir

from qwen3_tts_edge.bundle.graph_spec import StateSpec, TensorSpec
from qwen3_tts_export.graphs.in_place import may_run_in_place


def states(*names: str) -> list[StateSpec]:
    return [
        StateSpec(
            past=TensorSpec(name=f"past.{n}", dtype="float32", shape=(4,)), present=f"new.{n}"
        )
        for n in names
    ]


def hand_made(text: str) -> ir.Model:
    """A model from ONNX's own notation, with `new.x` written `new_x` there."""
    model = ir.from_proto(
        onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 23]> {text}')
    )
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.name = value.name.replace("_", ".")
    return model


IN_PLACE = {
    "every reader comes before": (
        "g (float[4] past_x, float[4] y) => (float[4] new_x)"
        "{ a = Mul(past_x, y) b = Neg(a) new_x = Add(b, y) }",
        True,
    ),
    "a reader comes after": (
        "g (float[4] past_x, float[4] y) => (float[4] new_x, float[4] z)"
        "{ a = Mul(past_x, y) new_x = Add(a, y) z = Sub(new_x, past_x) }",
        False,
    ),
    "a reader may come after": (
        "g (float[4] past_x, float[4] y) => (float[4] new_x, float[4] z)"
        "{ a = Mul(past_x, y) new_x = Add(a, y) z = Neg(past_x) }",
        False,
    ),
    "the writer reads": (
        "g (float[4] past_x, float[4] y) => (float[4] new_x){ new_x = Concat<axis=0>(past_x, y) }",
        False,
    ),
    "a view of it is read later": (
        "g (float[4] past_x, float[4] y, int64[2] s) => (float[4] new_x, float[2,2] z)"
        "{ v = Reshape(past_x, s) n = ReduceSum<keepdims=0>(v) new_x = Mul(y, n) z = Neg(v) }",
        False,
    ),
    "a view of it is read before": (
        "g (float[4] past_x, float[4] y, int64[2] s) => (float[4] new_x)"
        "{ v = Reshape(past_x, s) n = ReduceSum<keepdims=0>(v) new_x = Mul(y, n) }",
        True,
    ),
    "its shape is read later": (
        "g (float[4] past_x, float[4] y) => (float[4] new_x, int64[1] z)"
        "{ a = Mul(past_x, y) new_x = Neg(a) z = Shape(past_x) }",
        True,
    ),
    "it is written where it lies": (
        "g (float[4] past_x, int64[1] i, float[1] y) => (float[4] new_x)"
        "{ new_x = ScatterElements(past_x, i, y) }",
        True,
    ),
    "it is kept or not, number by number": (
        "g (float[4] past_x, bool[4] m, float[4] y) => (float[4] new_x)"
        "{ new_x = Where(m, past_x, y) }",
        True,
    ),
    "it is handed through": (
        "g (float[4] past_x) => (float[4] new_x) { new_x = Identity(past_x) }",
        False,
    ),
}


@pytest.mark.parametrize("what", IN_PLACE)
def test_the_proof_sees_who_reads_a_past_too_late(what: str) -> None:
    text, expected = IN_PLACE[what]
    assert may_run_in_place(hand_made(text), states("x")) is expected
