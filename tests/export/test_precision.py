"""The types of a precision: which weight gets which, what is refused, and what rounding costs."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper
from onnxscript import ir

from qwen3_tts_edge.bundle.manifest import (
    CODEC_DECODER,
    CODEC_ENCODER,
    FRAME,
    PREDICTOR_STEP,
    SPEAKER_ENCODER,
    TALKER_STEP,
)
from qwen3_tts_edge.errors import CheckpointError, InputError
from qwen3_tts_export.bundle.writing import write_bundle
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.graphs.declared import (
    codec_decoder_graph,
    frame_graph,
    predictor_step_graph,
    talker_step_graph,
)
from qwen3_tts_export.graphs.typed import typed
from qwen3_tts_export.graphs.weight_file import write_graph
from qwen3_tts_export.precision import blocks as quantize
from qwen3_tts_export.precision.policy import FP32, Blocks, Precision, find_precision
from qwen3_tts_export.precision.rounding import Rounding
from tiny import EDGE_VOICE

GPU = ("cuda", "trt", "compat")
NARROW = {"fp16": "float16", "bf16": "bfloat16", "int8": "float16", "int8-bf16": "bfloat16"}
FOUR = ("int4", "int4-talker")


# which


@pytest.mark.parametrize("name", ["fp16", "bf16", "int8-bf16"])
def test_a_precision_for_gpus_is_refused_for_the_cpu(tmp_path: Path, name: str) -> None:
    message = f"{name} is not for the flavour ort: ONNX Runtime computes {NARROW[name]} on GPUs"
    with pytest.raises(InputError, match=message):
        write_bundle(Checkpoint.open(EDGE_VOICE), tmp_path / "out", precision=name)
    assert not list(tmp_path.iterdir())


def test_an_unknown_precision() -> None:
    with pytest.raises(
        InputError, match="precision 'fp8' is unknown; choose one of int8, int8-fast"
    ):
        find_precision("fp8", "trt")


def test_the_fast_int8_has_larger_blocks_and_is_for_the_cpu() -> None:
    fast, plain = (find_precision(name, "ort") for name in ("int8-fast", "int8"))
    for name in ("talker.head.weight", "predictor.trunk.layers.0.down.weight"):
        assert fast.blocks_of(name) == Blocks(bits=8, size=128)
        assert plain.blocks_of(name) == Blocks(bits=8, size=64)
    for flavour in GPU:
        with pytest.raises(InputError, match="int8-fast is for the flavour ort, not for") as caught:
            find_precision("int8-fast", flavour)
        assert caught.value.remedy == "take --precision int8"


def test_the_int8_of_rows_has_a_scale_a_column_and_is_for_the_cpu() -> None:
    rows = find_precision("int8-rows", "ort")
    for name in ("talker.head.weight", "predictor.trunk.layers.0.down.weight"):
        assert rows.blocks_of(name) == Blocks(bits=8, size=0)
    assert rows.products == "rows"
    for flavour in GPU:
        with pytest.raises(InputError, match="int8-rows is for the flavour ort, not for"):
            find_precision("int8-rows", flavour)


@pytest.mark.parametrize("name", FOUR)
def test_four_bits_are_refused_where_there_are_none(tmp_path: Path, name: str) -> None:
    message = f"{name} is not for the flavour compat: its opset 18 .*; take --precision int8, or"
    with pytest.raises(InputError, match=message):
        write_bundle(
            Checkpoint.open(EDGE_VOICE), tmp_path / "out", precision=name, flavour="compat"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flavour", ["ort", "cuda", "trt"])
@pytest.mark.parametrize("name", FOUR)
def test_which_matrices_have_four_bits(name: str, flavour: str) -> None:
    """Blocks of 32, for more are not equal in batches; the heads stay what int8 makes of them."""
    found, int8 = (find_precision(each, flavour) for each in (name, "int8"))
    assert found.blocks_of("talker.trunk.layers.27.down.weight") == Blocks(bits=4, size=32)
    predictor = "predictor.trunk.layers.0.qkv.weight"
    four = Blocks(bits=4, size=32) if name == "int4" else int8.blocks_of(predictor)
    assert found.blocks_of(predictor) == four
    for head in ("talker.head.weight", "predictor.heads.3.weight"):
        assert found.blocks_of(head) == int8.blocks_of(head)
    assert found.activations(FRAME) == int8.activations(FRAME)


@pytest.mark.parametrize("name", ["fp32", "int8", "int8-fast", "int8-rows", *FOUR])
def test_for_the_cpu_all_is_computed_in_float32(name: str) -> None:
    found = find_precision(name, "ort")
    for graph in (FRAME, CODEC_DECODER):
        assert found.activations(graph) == "float32"
        assert found.of_weight(graph, "talker.trunk.layers.0.qkv.weight") == "float32"
    assert found.products == ("rows" if name == "int8-rows" else "blocks")


@pytest.mark.parametrize("flavour", GPU)
@pytest.mark.parametrize("name", NARROW)
def test_for_gpus_the_codec_is_float16_and_the_encoders_float32(name: str, flavour: str) -> None:
    found = find_precision(name, flavour)
    assert found.name == name
    assert [found.activations(graph) for graph in (FRAME, TALKER_STEP, PREDICTOR_STEP)] == [
        NARROW[name]
    ] * 3
    assert found.activations(CODEC_DECODER) == "float16"
    assert {found.activations(graph) for graph in (CODEC_ENCODER, SPEAKER_ENCODER)} == {"float32"}
    assert (found.talker is not None) is name.startswith("int8")
    assert found.heads is None
    assert found.products == ("blocks" if flavour == "cuda" else "portable")


GRAPHS = {
    FRAME: lambda c: frame_graph(c.config, c.talker, 8),
    TALKER_STEP: lambda c: talker_step_graph(c.config, c.talker, 8),
    PREDICTOR_STEP: lambda c: predictor_step_graph(c.config, c.talker),
    CODEC_DECODER: lambda c: codec_decoder_graph(c.config.codec, c.codec),
}
# What stays float32, number by number: `*` is one number.
ISLANDS = {
    FRAME: {
        "talker.head.weight",
        "predictor.heads.*.weight",
        "predictor.trunk.layers.*.down.weight",
        *(f"{part}.trunk.{table}" for part in ("talker", "predictor") for table in ("cos", "sin")),
        *(f"{part}.trunk.norm.weight" for part in ("talker", "predictor")),
        *(
            f"{part}.trunk.layers.*.{norm}_norm.weight"
            for part in ("talker", "predictor")
            for norm in ("input", "q", "k", "mlp")
        ),
    },
    CODEC_DECODER: {
        "books.weight",
        "semantic.weight",
        "acoustic.weight",
        "norm.weight",
        *(f"layers.*.{norm}_norm.weight" for norm in ("input", "mlp")),
        *(f"convnexts.*.norm.{part}" for part in ("weight", "bias")),
        *(f"snake.{part}" for part in "ab"),
        *(f"blocks.*.snake.{part}" for part in "ab"),
        *(f"blocks.*.units.*.snake{which}.{part}" for which in "12" for part in "ab"),
    },
}
ISLANDS[TALKER_STEP] = {name for name in ISLANDS[FRAME] if name.startswith("talker")}
ISLANDS[PREDICTOR_STEP] = {name for name in ISLANDS[FRAME] if "heads" not in name} - ISLANDS[
    TALKER_STEP
] | {"predictor.heads"}


@pytest.mark.parametrize(
    ("kind", "flavour"), [("fp16", "trt"), ("fp16", "cuda"), ("bf16", "trt"), ("bf16", "cuda")]
)
@pytest.mark.parametrize("graph", GRAPHS)
def test_these_weights_stay_float32_and_no_others(graph: str, kind: str, flavour: str) -> None:
    """The products of the gate fit into bfloat16; so does the residual, where norms sum wide."""
    precision = find_precision(kind, flavour)
    made = typed(GRAPHS[graph](Checkpoint.open(EDGE_VOICE)), precision)
    found = {name: weight.dtype for name, weight in made.network().named_parameters()}
    assert set(found.values()) == {torch.float32, getattr(torch, precision.activations(graph))}
    wide = {name for name, dtype in found.items() if dtype == torch.float32}
    expected = ISLANDS[graph]
    if kind == "bf16" and graph != CODEC_DECODER:
        expected = {name for name in expected if not name.endswith("down.weight")}
        if flavour == "cuda":
            expected = {name for name in expected if not name.endswith("norm.weight")}
    assert {re.sub(r"(?<=\.)\d+(?=\.)", "*", name) for name in wide} == expected
    assert len(wide) < len(found)


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_state_is_in_the_type_and_what_callers_handle_is_not(graph: str) -> None:
    plain = GRAPHS[graph](Checkpoint.open(EDGE_VOICE))
    made = typed(plain, find_precision("bf16", "trt"))
    assert (made.inputs, made.outputs) == (plain.inputs, plain.outputs)
    kind = "float16" if graph == CODEC_DECODER else "bfloat16"
    for before, after in zip(plain.states, made.states, strict=True):
        kept = before.past.dtype != "float32" or before.past.name == "past.feedback"
        assert after.past.dtype == (before.past.dtype if kept else kind)
    assert any(state.past.dtype == kind for state in made.states)


def test_float32_leaves_a_graph_as_it_is() -> None:
    for make in GRAPHS.values():
        plain = make(Checkpoint.open(EDGE_VOICE))
        assert typed(plain, FP32).states == plain.states


# rounding


def test_what_a_type_cannot_hold_is_counted() -> None:
    rounding = Rounding()
    found = rounding.convert("w", np.float32([1, 65510, -65504, 3e-5, 1e-9, 0]), "float16")
    assert found.dtype == np.float16
    assert found.tolist()[:3] == [1.0, 65504.0, -65504.0]
    assert rounding == Rounding(numbers=6, large=1, subnormal=1, zero=1)
    rounding.convert("v", np.float32([1e-20, 1e-39, 70000]), "bfloat16")
    assert rounding == Rounding(numbers=9, large=1, subnormal=2, zero=1)


def test_float32_is_not_rounded() -> None:
    weight, rounding = np.float32([1e-20, 1e30]), Rounding()
    assert rounding.convert("w", weight, "float32") is weight
    assert rounding == Rounding()


@pytest.mark.parametrize("value", [65520.0, -1e6, np.inf, np.nan])
def test_what_would_be_infinite_is_refused(value: float) -> None:
    message = (
        r"talker\.x\.weight does not fit into float16: .* of its 3 numbers .* --precision bf16"
    )
    with pytest.raises(CheckpointError, match=message):
        Rounding().convert("talker.x.weight", np.float32([1, value, 2]), "float16")


# writing

NAME = "talker.trunk.layers.0.qkv.weight"


def one_product(opset: int, inputs: int, outputs: int, kind: str) -> ir.Model:
    """y = x · w as it is traced: the weight has a type and no value."""
    dtype = np.dtype(kind)
    like = ir.TensorType(ir.DataType.from_numpy(dtype))
    x, y = (
        ir.Value(name=name, shape=ir.Shape(("rows", size)), type=like)
        for name, size in (("x", inputs), ("y", outputs))
    )
    weight = ir.Value(name=NAME, shape=ir.Shape((inputs, outputs)), type=like)
    weight.const_value = ir.tensor(np.zeros((inputs, outputs), dtype))
    graph = ir.Graph(
        [x],
        [y],
        nodes=[ir.node("MatMul", [x, weight], outputs=[y])],
        initializers=[weight],
        opset_imports={"": opset, "com.microsoft": 1},
        name="one",
    )
    weight.const_value = None
    return ir.Model(graph, ir_version=10)


def product(path: Path, x: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., tuple[Path, Rounding]]:
    def write(found: Precision, weight: np.ndarray, opset: int = 24) -> tuple[Path, Rounding]:
        path = tmp_path / "one.onnx"
        weights = {NAME: lambda: torch.from_numpy(weight)}
        model = one_product(opset, *weight.shape, found.language)
        rounding = write_graph(model, weights, found, path, lambda _: None)
        onnx.checker.check_model(str(path), full_check=True)
        return path, rounding

    return write


@pytest.mark.parametrize(
    ("kind", "flavour", "opset"),
    [
        ("int8", "trt", 24),
        ("int8", "compat", 18),
        ("int8", "cuda", 23),
        ("int4", "cuda", 23),
        ("int4", "trt", 24),
    ],
)
def test_a_rounded_matrix_multiplies_by_its_scales(
    written: Callable, kind: str, flavour: str, opset: int
) -> None:
    """Each form in ONNX Runtime: numbers times scale, and no other numbers."""
    weight = np.random.default_rng(1).standard_normal((64, 48)).astype(np.float32)
    weight[:, 7] = 0
    precision = find_precision(kind, flavour)
    path, rounding = written(precision, weight, opset)
    nodes = [node.op_type for node in onnx.load(path).graph.node]
    expected = {
        "trt": ["DequantizeLinear", "MatMul"],
        "compat": ["DequantizeLinear", "Cast", "MatMul"],
        "cuda": ["MatMulNBits"],
    }
    assert nodes == expected[flavour]
    blocks = precision.blocks_of(NAME)
    wanted = quantize.scales_of(weight, blocks.bits, blocks.size or 64)
    scales = quantize.never_zero(wanted)
    if flavour != "compat":
        scales = scales.astype(np.float16)
        assert rounding.numbers == scales.size
    numbers = quantize.to_numbers(weight, scales, blocks.bits)
    assert np.abs(numbers).max() == {8: 127, 4: 7}[blocks.bits]
    rows = np.eye(64, dtype=np.float16)
    found = np.concatenate([product(path, row[None]) for row in rows]).astype(np.float32)
    stored = quantize.whole(numbers, scales).astype(np.float16).astype(np.float32)
    assert np.abs(found - stored).max() <= 2e-3 * np.abs(stored).max()
    assert np.abs(found - weight).max() <= 0.51 * scales.max() * 1.01
    assert not found[:, 7].any()


def test_rows_of_whole_numbers_multiply_exactly_in_any_batch(written: Callable) -> None:
    """A scale for each row, whatever the others are: a far larger one, one of nothing but 0."""
    random = np.random.default_rng(4)
    weight = random.standard_normal((192, 48)).astype(np.float32)
    weight[:, 7] = 0
    precision = find_precision("int8-rows", "ort")
    path, _ = written(precision, weight, 23)
    scales = quantize.never_zero(quantize.scales_of(weight, 8, 192))
    numbers = quantize.to_numbers(weight, scales).astype(np.int64)
    rows = random.standard_normal((9, 192)).astype(np.float32)
    rows *= np.float32([1, 1e3, 1e-3, 1, 1, 1, 7, 1, 1])[:, None]
    rows[4] = 0
    rows[5, 3] = 200.0
    largest = np.abs(rows).max(axis=1, keepdims=True).astype(np.float64)
    whole = np.rint(127 * np.divide(rows, largest, where=largest > 0, out=0.0 * rows))
    expected = whole.astype(np.int64) @ numbers * scales.astype(np.float64) * (largest / 127)
    found = product(path, rows)
    assert not found[4].any()
    assert not found[:, 7].any()
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()
    rest = np.abs(found - expected).max(axis=1) / np.maximum(np.abs(expected).max(axis=1), 1e-30)
    assert rest.max() <= 1e-6, "of each row, small ones too"
    assert np.array_equal(found, np.concatenate([product(path, row[None]) for row in rows]))


def test_four_bits_for_tensorrt_are_the_numbers_two_in_a_byte(written: Callable) -> None:
    weight = np.random.default_rng(3).standard_normal((64, 1024)).astype(np.float32)
    path, _ = written(find_precision("int4", "trt"), weight)
    model = onnx.load(path)
    node = model.graph.node[0]
    assert (node.op_type, node.input[0]) == ("DequantizeLinear", f"{NAME}.int4")
    assert {a.name: a.i for a in node.attribute} == {"axis": 0, "block_size": 32}
    stored = {value.name: value for value in model.graph.initializer}
    packed, halves = stored[f"{NAME}.int4"], stored[f"{NAME}.scales"]
    assert packed.data_type == onnx.TensorProto.INT4
    assert len(packed.raw_data) == weight.size // 2
    scales = numpy_helper.to_array(halves)
    assert scales.shape == (2, 1024)
    numbers = quantize.to_numbers(weight, scales, 4)
    assert np.array_equal(numpy_helper.to_array(packed).astype(np.int8), numbers)


def test_a_column_too_small_for_a_scale_is_nothing(written: Callable) -> None:
    weight = np.full((32, 48), 0.5, np.float32)
    weight[:, 3] = 1e-7
    path, rounding = written(find_precision("int8", "trt"), weight)
    assert rounding.zero == 1
    (scales,) = (x for x in onnx.load(path).graph.initializer if x.name.endswith(".scales"))
    assert (numpy_helper.to_array(scales) > 0).all()  # TensorRT refuses 0
    found = product(path, np.ones((1, 32), np.float16))
    assert found[0, 3] == 0
    assert np.isfinite(found).all()


def test_a_weight_that_does_not_fit_stops_the_export(written: Callable) -> None:
    weight = np.ones((32, 48), np.float32)
    weight[2, 3] = 1e5
    with pytest.raises(CheckpointError, match=r"talker\.trunk\.layers\.0\.qkv\.weight does not"):
        written(find_precision("fp16", "trt"), weight)


def test_a_weight_is_stored_in_its_type(written: Callable) -> None:
    weight = np.random.default_rng(2).standard_normal((32, 48)).astype(np.float32)
    path, rounding = written(find_precision("fp16", "trt"), weight)
    (stored,) = onnx.load(path).graph.initializer
    assert stored.data_type == onnx.TensorProto.FLOAT16
    assert np.array_equal(onnx.numpy_helper.to_array(stored), weight.astype(np.float16))
    assert rounding.numbers == weight.size
