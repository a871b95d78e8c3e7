"""What a forced graph changes of a bundle's."""

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from qwen3_tts_export.parity.forced_graph import _with_float32_states


def test_states_of_bfloat16_are_fed_in_float32() -> None:
    """A running sum that is carried in bfloat16, a type that numpy lacks."""
    half, full = TensorProto.BFLOAT16, TensorProto.FLOAT
    node, value = helper.make_node, helper.make_tensor_value_info
    nodes = [
        node("Cast", ["past"], ["before"], to=full),
        node("Add", ["before", "number"], ["sum"]),
        node("Cast", ["sum"], ["present"], to=half),
    ]
    sides = [
        [value("number", full, [2]), value("past", half, [2])],
        [value("sum", full, [2]), value("present", half, [2])],
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "sum", *sides),
        opset_imports=[helper.make_opsetid("", 23)],
        ir_version=10,
    )
    _with_float32_states(model.graph, {"past": "present"})
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString())
    carried = np.zeros(2, np.float32)
    for total in (1.0, 2.0, 3.0):
        number = np.array([1, 1 + 2**-10], np.float32)
        said, carried = session.run(["sum", "present"], {"number": number, "past": carried})
        assert carried.dtype == np.float32
        assert carried.tolist() == [total, total]  # rounded where it is carried
        assert said[1] > said[0]
