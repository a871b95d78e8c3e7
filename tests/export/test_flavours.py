"""Every graph is what its runtime takes: TensorRT's and CUDA's rules, held against the exports."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from export import cuda_rules, tensorrt_rules
from qwen3_tts_edge.bundle import names
from qwen3_tts_edge.bundle.bundled import bundled_voice
from qwen3_tts_edge.bundle.head import FILE
from qwen3_tts_edge.bundle.manifest import (
    CODEC_DECODER,
    FRAME,
    PREDICTOR_STEP,
    TALKER_STEP,
    Manifest,
)
from qwen3_tts_edge.errors import BackendError, InputError
from qwen3_tts_export import cli
from qwen3_tts_export.bundle import writing as bundle
from qwen3_tts_export.bundle.writing import write_bundle
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.graphs.declared import predictor_step_graph
from qwen3_tts_export.graphs.flavours import FLAVOURS
from qwen3_tts_export.precision import blocks as quantize
from tiny import EDGE_VOICE

BundleIn = Callable[..., Path]
STEPS = (TALKER_STEP, PREDICTOR_STEP)
EXPORTS = [("edge-voice", "fp32"), ("same", "fp32"), ("edge-voice", "int8")]


def load(folder: Path, name: str) -> onnx.ModelProto:
    return onnx.load(str(folder / f"{name}.onnx"), load_external_data=False)


def test_the_flavours_of_the_command_line_are_those_there_are() -> None:
    assert list(names.FLAVOURS) == list(FLAVOURS)


def test_the_command_line_hands_the_flavour_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def write(_: Checkpoint, folder: Path, **options: object) -> Path:
        asked.update(options)
        folder.mkdir()
        shutil.copy(bundled_voice() / FILE, folder)
        return folder

    monkeypatch.setattr(bundle, "write_bundle", write)
    arguments = ["bundle", str(EDGE_VOICE), "-o", str(tmp_path / "out")]
    for options, flavour in (([], "ort"), (["--flavour", "compat"], "compat")):
        done = CliRunner().invoke(cli.commands, [*arguments, *options])
        assert done.exit_code == 0
        assert asked["flavour"] == flavour
        shutil.rmtree(tmp_path / "out")


def test_an_unknown_flavour(tmp_path: Path) -> None:
    message = "flavour 'vanilla' is unknown; choose one of ort, cuda, trt, compat"
    with pytest.raises(InputError, match=message):
        write_bundle(
            Checkpoint.open(EDGE_VOICE), tmp_path / "out", precision="fp32", flavour="vanilla"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flavour", ["trt", "compat"])
@pytest.mark.parametrize(("name", "precision"), EXPORTS)
def test_the_manifest_says_what_it_is_for(
    bundle_in: BundleIn, name: str, precision: str, flavour: str
) -> None:
    folder = bundle_in(name, flavour, precision)
    manifest = Manifest.load(folder)
    manifest.verify(folder)
    assert (manifest.flavour, manifest.precision) == (flavour, precision)
    assert set(manifest.graphs) == {*STEPS, CODEC_DECODER}
    for graph, spec in manifest.graphs.items():
        model = load(folder, graph)
        onnx.checker.check_model(str(folder / spec.file), full_check=True)
        assert {x.domain: x.version for x in model.opset_import} == {
            "": FLAVOURS[flavour].opset_of(graph)
        }
        assert spec.in_place


@pytest.mark.parametrize("graph", [*STEPS, CODEC_DECODER])
@pytest.mark.parametrize("flavour", ["trt", "compat"])
@pytest.mark.parametrize(("name", "precision"), EXPORTS)
def test_tensorrt_has_nothing_to_ignore_or_refuse(
    bundle_in: BundleIn, name: str, precision: str, flavour: str, graph: str
) -> None:
    assert tensorrt_rules.complaints(load(bundle_in(name, flavour, precision), graph)) == []


@pytest.mark.parametrize("graph", STEPS)
def test_tensorrt_refuses_no_four_bits(bundle_in: BundleIn, graph: str) -> None:
    model = load(bundle_in("edge-voice", "trt", "int4"), graph)
    assert tensorrt_rules.complaints(model) == []
    kinds = {x.data_type for x in model.graph.initializer if ".weight.int" in x.name}
    assert kinds == {onnx.TensorProto.INT4}


def test_trt_has_one_cache_update_and_one_attention_a_layer(bundle_in: BundleIn) -> None:
    config = Checkpoint.open(EDGE_VOICE).config
    for graph, part in zip(STEPS, (config.talker, config.predictor), strict=True):
        types = [node.op_type for node in load(bundle_in("edge-voice", "trt"), graph).graph.node]
        assert types.count("TensorScatter") == 2 * part.num_layers
        assert types.count("RotaryEmbedding") == 2 * part.num_layers
        assert types.count("Attention") == part.num_layers
        assert types.count("RMSNormalization") == 4 * part.num_layers + 1
        assert types.count("Range") <= 2  # rows and slots, once for all layers


# What the rules see, one graph each.
REFUSED = {
    "com.microsoft.Gelu": "g (float[4] x) => (float[4] y) { y = com.microsoft.Gelu(x) }",
    "Multinomial": "g (float[1,4] x) => (int32[1,1] y) { y = Multinomial(x) }",
    "RandomUniformLike": "g (float[4] x) => (float[4] y) { y = RandomUniformLike(x) }",
    "CumSum": "g (float[1,4] x) => (float[1,4] y) <int64 a = {1}> { y = CumSum(x, a) }",
    "NonZero": "g (float[4] x) => (int64[1,n] y) { y = NonZero(x) }",
    "Attention with nonpad_kv_seqlen": "g (float[1,1,1,8] q, float[1,1,4,8] k, bool[1,1,1,4] m,"
    " int64[1] n) => (float[1,1,1,8] y) { y = Attention(q, k, k, m, , , n) }",
    "Attention with past_key": "g (float[1,1,1,8] q, float[1,1,4,8] k, bool[1,1,1,8] m)"
    " => (float[1,1,1,8] y) { y = Attention(q, k, k, m, k, k) }",
    "Attention with 3 outputs": "g (float[1,1,1,8] q, float[1,1,4,8] k, bool[1,1,1,4] m)"
    " => (float[1,1,1,8] y) { y, a, b = Attention(q, k, k, m) }",
    "Attention without a mask": "g (float[1,1,1,8] q, float[1,1,4,8] k) => (float[1,1,1,8] y)"
    " { y = Attention(q, k, k) }",
    "Attention with is_causal": "g (float[1,1,1,8] q, float[1,1,4,8] k, bool[1,1,1,4] m)"
    " => (float[1,1,1,8] y) { y = Attention<is_causal=1>(q, k, k, m) }",
    "TensorScatter onto what is not an input": "g (float[1,1,4,8] c, float[1,1,1,8] u, int64[1] w)"
    " => (float[1,1,4,8] y) { a = TensorScatter(c, u, w) y = TensorScatter(a, u, w) }",
    "TensorScatter whose output stays inside": "g (float[1,1,4,8] c, float[1,1,1,8] u, int64[1] w)"
    " => (float[1,1,4,8] y) { a = TensorScatter(c, u, w) y = Neg(a) }",
    "TensorScatter along another axis or in a circle": "g (float[1,1,4,8] c, float[1,1,1,8] u,"
    ' int64[1] w) => (float[1,1,4,8] y) { y = TensorScatter<mode="circular">(c, u, w) }',
    "ScatterElements onto ScatterElements": "g (float[4] c, int64[1] i, float[1] u)"
    " => (float[4] y) { a = ScatterElements(c, i, u) y = ScatterElements(a, i, u) }",
    "TopK, input 1 is not constant": "g (float[9] x, int64[1] k) => (float[n] y)"
    " { y, i = TopK(x, k) }",
    "TopK of 4000": "g (float[9000] x) => (float[4000] y) <int64[1] k = {4000}>"
    " { y, i = TopK(x, k) }",
    "Range of a size that is computed": "g (int64 a, int64 b) => (int64[n] y)"
    " { y = Range(a, b, a) }",
    "Expand of a size that is computed": "g (float[1] x, int64[1] n) => (float[n] y)"
    " { y = Expand(x, n) }",
    "Squeeze, input 1 is not constant": "g (float[1,4] x, int64[1] n) => (float[4] y)"
    " { y = Squeeze(x, n) }",
    "DequantizeLinear of four bits, not by blocks of a column": "g (float[1,2] x) =>"
    " (float[4,2] y) <int4[4,2] w = {1,2,3,4,5,6,7,-8}, float[2] s = {1,1}>"
    " { y = DequantizeLinear<axis=1>(w, s) }",
    "DequantizeLinear of int8 by blocks": "g (float[1,2] x) => (float[4,2] y)"
    " <int8[4,2] w = {1,2,3,4,5,6,7,8}, float[2,2] s = {1,1,1,1}>"
    " { y = DequantizeLinear<axis=0, block_size=2>(w, s) }",
    "DequantizeLinear whose scales are not one a column": "g (float[1,2] x) => (float[2,2] y)"
    " <int8[2,2] w = {1,2,3,4}, float[2] s = {1,1}> { y = DequantizeLinear<axis=0>(w, s) }",
    "DequantizeLinear with a zero point": "g (float[1,2] x) => (float[2,2] y)"
    " <int8[2,2] w = {1,2,3,4}, float[2] s = {1,1}, int8[2] z = {0,1}>"
    " { y = DequantizeLinear<axis=1>(w, s, z) }",
    "d is float64": "g (float[1] x) => (double[1] y) <double[1] d = {1}> { y = Neg(d) }",
}


def hand_made(text: str, opset: int = 24) -> onnx.ModelProto:
    imports = f'["": {opset}, "com.microsoft": 1]' if "microsoft" in text else f'["": {opset}]'
    return onnx.parser.parse_model(f"<ir_version: 10, opset_import: {imports}> {text}")


@pytest.mark.parametrize("complaint", REFUSED)
def test_the_tensorrt_rules_see_it(complaint: str) -> None:
    assert complaint in tensorrt_rules.complaints(hand_made(REFUSED[complaint]))


def test_the_tensorrt_rules_let_sizes_come_from_shapes() -> None:
    model = hand_made(
        "g (float[b,4] x, float[1] z) => (float[b,4] y) { s = Shape(x) y = Expand(z, s) }"
    )
    assert tensorrt_rules.complaints(model) == []


@pytest.mark.parametrize("flavour", ["trt", "compat"])
def test_int8_is_the_policys_numbers_a_scale_a_column(bundle_in: BundleIn, flavour: str) -> None:
    """In every matrix of the predictor's layers, before a MatMul and nowhere else."""
    folder = bundle_in("edge-voice", flavour, "int8")
    model = onnx.load(str(folder / f"{PREDICTOR_STEP}.onnx"))
    stored = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    readers = {name: node for node in model.graph.node for name in node.input}
    names = [node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"]
    checkpoint = Checkpoint.open(EDGE_VOICE)
    layers = checkpoint.config.predictor.num_layers
    assert sorted(names) == sorted(
        f"predictor.trunk.layers.{i}.{matrix}.weight.int8"
        for i in range(layers)
        for matrix in ("qkv", "output", "gate_up", "down")
    )
    weights = predictor_step_graph(checkpoint.config, checkpoint.talker).weights
    for name in names:
        weight = weights[name.removesuffix(".int8")]().numpy()
        scale = stored[name.removesuffix("int8") + "scales"][None]
        assert np.array_equal(stored[name], quantize.to_numbers(weight, scale))
        found = readers[name].output[0]
        while readers[found].op_type == "Cast":
            found = readers[found].output[0]
        assert readers[found].op_type == "MatMul"
        assert makers[found].op_type in {"DequantizeLinear", "Cast"}


# CUDA


def test_a_frame_stays_on_the_gpu(bundle_in: BundleIn) -> None:
    """But for the shape of a constant; what its attention reads in CPU memory is given there."""
    placed = cuda_rules.placement(load(bundle_in("edge-voice", "cuda", "fp16"), FRAME))
    assert placed.lacking == []
    assert placed.copied == []
    assert [node.op_type for node in placed.drawn] == ["Concat"]


@pytest.mark.parametrize(("precision", "a_layer"), [("bf16", 10), ("fp16", 14)])
def test_a_frame_is_few_launches(bundle_in: BundleIn, precision: str, a_layer: int) -> None:
    """Each takes microseconds whatever it does: on a large GPU they are what a frame takes."""
    config = Checkpoint.open(EDGE_VOICE).config
    layers = config.talker.num_layers + 15 * config.predictor.num_layers
    counted = cuda_rules.launches(load(bundle_in("edge-voice", "cuda", precision), FRAME))
    assert len(counted) <= a_layer * layers + 22 * config.talker.num_codebooks + 23


def test_the_codec_decoder_stays_on_the_gpu(bundle_in: BundleIn) -> None:
    """All but shapes."""
    placed = cuda_rules.placement(load(bundle_in("edge-voice", "cuda", "fp16"), CODEC_DECODER))
    assert placed.lacking == []
    assert placed.copied == []
    shapes = {"Add", "Concat", "Gather", "Mul", "Reshape", "Squeeze", "Sub", "Unsqueeze"}
    assert {node.op_type for node in placed.drawn} <= shapes


def test_the_cuda_rules_see_that_ort_is_not_for_it(bundle_in: BundleIn) -> None:
    """What the flavour `cuda` is there for: its types and operations."""
    placed = cuda_rules.placement(load(bundle_in("edge-voice", "ort"), FRAME))
    assert {text.partition(" ")[0] for text in placed.lacking} >= {
        "Equal-19",
        "GroupQueryAttention",
    }
    assert any(text.endswith("for GroupQueryAttention") for text in placed.copied)


DRAWN = {
    "a shape and a constant": (
        "g (float[b,4] x, float[1] z) => (float[n,4] y) <int64[1] f = {4}>"
        " { s = Shape<start=0, end=1>(x) c = Concat<axis=0>(s, f) y = Expand(z, c) }",
        ["Concat"],
        [],
    ),
    "an input of the graph and a shape, read on the GPU again": (
        "g (float[b,4] x, int64[1] p, int64[1] q) => (int64[1] y)"
        " { m = Less(p, q) s = Shape<start=0, end=1>(x) a = Add(p, s) y = Where(m, a, q) }",
        ["Add"],
        ["p for Add", "a for Where"],
    ),
    "a shape that is read where it lies": (
        "g (float[b,4] x, float[1] z) => (float[b,4] y) { s = Shape(x) y = Expand(z, s) }",
        [],
        [],
    ),
    "an input of the graph that is read on the CPU alone": (
        "g (float[b,4] x, int64[2] k) => (float[m,n] y) { y = Expand(x, k) }",
        [],
        [],
    ),
    "an input of the graph that is read in both places": (
        "g (float[b,4] x, int64[2] k) => (float[m,n] y, int64[2] z)"
        " { y = Expand(x, k) z = Add(k, k) }",
        [],
        ["k for Expand"],
    ),
    "a size that is computed on the GPU": (
        "g (float[4] x, int64[2] k) => (float[n] y) <int64[1] a = {0}>"
        " { m = ReduceSum<keepdims=1>(k, a) y, i = TopK(x, m) }",
        [],
        ["m for TopK"],
    ),
}


@pytest.mark.parametrize("what", DRAWN)
def test_the_cuda_rules_see_what_is_drawn_to_the_cpu(what: str) -> None:
    text, drawn, copied = DRAWN[what]
    placed = cuda_rules.placement(hand_made(text, 23))
    assert [node.op_type for node in placed.drawn] == drawn
    assert placed.copied == copied


# the runtime


@pytest.mark.parametrize("flavour", ["trt", "compat"])
def test_the_cpu_backend_refuses_what_is_for_tensorrt(bundle_in: BundleIn, flavour: str) -> None:
    from qwen3_tts_edge import Synthesizer

    message = f"the bundle's flavour is {flavour}, ort-cpu runs ort; use the backend"
    with pytest.raises(BackendError, match=message):
        Synthesizer.open(bundle_in("same", flavour), backend="ort-cpu")
