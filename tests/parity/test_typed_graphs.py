"""Graphs in narrow precisions: each type where the policy has it, and the numbers of our modules.

ONNX Runtime on the CPU casts around a float16 product and has no bfloat16 ones; those are computed
by onnx's own evaluator.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from parity.forced import filled
from parity.tolerances import assert_close
from qwen3_tts_edge.bundle.graph_spec import StateSpec
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, PREDICTOR_STEP, TALKER_STEP, Manifest
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.modules import predictor_step, sampling
from qwen3_tts_export.modules.frame import TalkerStep, talker_step_weights
from qwen3_tts_export.modules.predictor_step import PredictorStep, predictor_step_weights
from qwen3_tts_export.precision import blocks as quantize
from qwen3_tts_export.precision.policy import find_precision
from tiny import EDGE_VOICE

BundleIn = Callable[..., Path]
WRITTEN = [("trt", "fp16"), ("trt", "int8"), ("trt", "int4"), ("compat", "bf16")]
TYPES = {"fp16": "FLOAT16", "int8": "FLOAT16", "int4": "FLOAT16", "bf16": "BFLOAT16"}
WHOLE = {  # operations that lose what float32 holds, wherever they stand
    "CumSum", "Cos", "Exp", "LayerNormalization", "RMSNormalization", "Reciprocal", "ReduceMean",
    "RotaryEmbedding", "Sin", "Softmax", "Sqrt", "TopK",
}  # fmt: skip


class Typed:
    """A written graph and the type of everything in it."""

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / f"{name}.onnx"
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.shape_inference.infer_shapes(
            onnx.load(str(path), load_external_data=False), strict_mode=True
        )
        self.nodes, graph = model.graph.node, model.graph
        name_of = onnx.TensorProto.DataType.Name
        self.stored = {x.name: name_of(x.data_type) for x in graph.initializer}
        values = (*graph.input, *graph.output, *graph.value_info)
        self.types = self.stored | {x.name: name_of(x.type.tensor_type.elem_type) for x in values}
        self.makers = {output: node for node in self.nodes for output in node.output}

    def of(self, node: onnx.NodeProto) -> str:
        """The type of what a node reads first."""
        return self.types[node.input[0]]

    def weight(self, name: str) -> str:
        """The weight that a value is made of: picked, cut, cast or dequantised."""
        while name in self.makers:
            name = self.makers[name].input[0]
        return name.removesuffix(".int8").removesuffix(".int4")

    def products(self) -> dict[str, str]:
        """The type that each matrix of the network is multiplied in, by its name."""
        return {
            self.weight(node.input[1]): self.of(node)
            for node in self.nodes
            if node.op_type == "MatMul" and self.weight(node.input[1]).endswith(("weight", "heads"))
        }


@pytest.mark.parametrize("graph", [TALKER_STEP, PREDICTOR_STEP, CODEC_DECODER])
@pytest.mark.parametrize(("flavour", "kind"), WRITTEN)
def test_islands_are_float32_in_the_graph_and_the_rest_is_not(
    bundle_in: BundleIn, flavour: str, kind: str, graph: str
) -> None:
    folder = bundle_in("edge-voice", flavour, kind)
    written, wanted = Typed(folder, graph), find_precision(kind, flavour)
    narrow = "FLOAT16" if graph == CODEC_DECODER else TYPES[kind]
    found = [(node.op_type, written.of(node)) for node in written.nodes]
    assert {kind for name, kind in found if name in WHOLE} == {"FLOAT"}
    assert {kind for name, kind in found if name in {"Conv", "Attention"}} <= {narrow}
    products = written.products()
    assert set(products.values()) == {"FLOAT", narrow}
    for name, multiplied in products.items():
        expected = wanted.of_weight(graph, name)
        assert multiplied == {"float32": "FLOAT"}.get(expected, narrow), name
        blocks = wanted.blocks_of(name)
        stored = written.stored[f"{name}.int{blocks.bits}" if blocks else name]
        assert stored == (f"INT{blocks.bits}" if blocks else multiplied), name
    islands = {name for name, multiplied in products.items() if multiplied == "FLOAT"}
    layers = Checkpoint.open(EDGE_VOICE).config.predictor.num_layers
    products = {f"predictor.trunk.layers.{i}.down.weight" for i in range(layers)}
    wide_products = narrow == "FLOAT16"
    assert (
        islands
        == {
            TALKER_STEP: {"talker.head.weight"},
            PREDICTOR_STEP: {"predictor.heads"} | (products if wide_products else set()),
            CODEC_DECODER: {"semantic.weight", "acoustic.weight"},
        }[graph]
    )
    for node in written.nodes:  # silu(gate) * up before the predictor's down
        if node.op_type == "MatMul" and ".down." in written.weight(node.input[1]):
            gated = written.makers[node.input[0]]
            assert gated.op_type == "Mul"
            is_wide = graph == PREDICTOR_STEP and wide_products
            assert written.of(gated) == ("FLOAT" if is_wide else narrow)


@pytest.mark.parametrize(("flavour", "kind"), WRITTEN)
def test_the_manifest_has_the_types_and_what_rounding_cost(
    bundle_in: BundleIn, flavour: str, kind: str
) -> None:
    manifest = Manifest.load(bundle_in("edge-voice", flavour, kind))
    assert manifest.precision == kind
    for name, spec in manifest.graphs.items():
        narrow = "float16" if name == CODEC_DECODER else TYPES[kind].lower()
        assert spec.rounding is not None
        assert spec.rounding.dtype == narrow
        assert spec.rounding.numbers > 0
        assert spec.rounding.large == 0
        assert spec.rounding.zero < 1e-4 * spec.rounding.numbers
        caches = {s.past.dtype for s in spec.states if "key" in s.past.name}
        assert caches == {narrow}
        others = {t.dtype for t in (*spec.inputs, *spec.outputs)}
        assert others <= {"float32", "int64", "bool"}
    tables = np.load(bundle_in("edge-voice", flavour, kind) / "text_rows.npy", mmap_mode="r")
    assert tables.dtype == np.float16


# computed


def as_written(folder: Path, graph: str) -> quantize.Rounder:
    """The numbers and scales of a graph, which are calibrated and nowhere else."""
    model = onnx.load(str(folder / f"{graph}.onnx"))
    found = {x.name: x for x in model.graph.initializer}

    def rounder(matrix: quantize.Matrix) -> tuple[Any, Any]:
        numbers, scales = (
            numpy_helper.to_array(found[f"{matrix.name}.{part}"])
            for part in (f"int{matrix.bits}", "scales")
        )
        return numbers.astype(np.int8), scales

    return rounder


class Network:
    """A step's torch module in the types of a precision, and the scores it chose from."""

    def __init__(
        self, folder: Path, graph: str, kind: str, flavour: str, patch: pytest.MonkeyPatch
    ) -> None:
        checkpoint, found = Checkpoint.open(EDGE_VOICE), find_precision(kind, flavour)
        config, tensors = checkpoint.config, checkpoint.talker
        if graph == TALKER_STEP:
            positions = config.talker.max_positions
            network: Any = TalkerStep(config, positions)
            weights = talker_step_weights(tensors, config, positions)
        else:
            network, weights = PredictorStep(config), predictor_step_weights(tensors, config)
        rounder = as_written(folder, graph) if kind == "int4" else quantize.nearest
        self.network = filled(network, weights, graph, found, rounder)
        self.scores = torch.empty(0)
        choose = sampling.sample

        def spied(scores: Tensor, *settings: Tensor) -> Tensor:
            self.scores = scores
            return choose(scores, *settings)

        patch.setattr(sampling, "sample", spied)
        patch.setattr(predictor_step, "sample", spied)

    def run(self, inputs: list[Tensor], past: list[Tensor]) -> list[Tensor]:
        """The next state; the talker's `hidden` before it."""
        with torch.inference_mode():
            found = self.network(*inputs, past)
        return found if isinstance(found, list) else [found[1], *found[2]]


def evaluator(folder: Path, name: str, kind: str) -> tuple[list[str], Callable[..., list[Any]]]:
    """What comes out of a graph, its scores last, and how it is run.

    Choosing a code is left out: onnx's evaluator wants an axis of CumSum as a scalar.
    """
    model = onnx.load(str(folder / f"{name}.onnx"))
    (top_k,) = (node for node in model.graph.node if node.op_type == "TopK")
    kept = [x.name for x in model.graph.output if x.name.startswith(("present.", "hidden"))]
    kept = [x for x in kept if x not in {"present.seen", "present.codes", "present.feedback"}]
    kept.append(top_k.input[0])
    needed, nodes = set(kept), []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            nodes.append(node)
            needed |= set(node.input)
    outputs = [x for x in model.graph.output if x.name in kept]
    outputs.append(onnx.helper.make_tensor_value_info(kept[-1], onnx.TensorProto.FLOAT, None))
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(reversed(nodes))
    model.graph.output.extend(outputs)
    if kind == "bf16":
        return kept, lambda feeds: ReferenceEvaluator(model).run(None, feeds)
    options = ort.SessionOptions()
    # Left to itself it multiplies int8 matrices by rows that it rounds to int8 as well.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    there = {x.name for x in session.get_inputs()}
    return kept, lambda feeds: session.run(
        None, {name: value for name, value in feeds.items() if name in there}
    )


def as_numpy(x: Tensor) -> np.ndarray:
    if x.dtype == torch.bfloat16:
        return x.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


def zeros(state: StateSpec) -> Tensor:
    shape = state.past.sized({"batch": 1, "capacity": 12})
    return torch.zeros(shape, dtype=getattr(torch, state.past.dtype))


@pytest.mark.parametrize("graph", [TALKER_STEP, PREDICTOR_STEP])
@pytest.mark.parametrize(("flavour", "kind"), WRITTEN)
def test_a_graph_computes_what_its_module_does(
    bundle_in: BundleIn,
    monkeypatch: pytest.MonkeyPatch,
    flavour: str,
    kind: str,
    graph: str,
) -> None:
    """Scores, hidden state and caches of some launches, the module's state going into both."""
    folder = bundle_in("edge-voice", flavour, kind)
    manifest = Manifest.load(folder)
    spec, network = manifest.graphs[graph], Network(folder, graph, kind, flavour, monkeypatch)
    names, run = evaluator(folder, graph, kind)
    rng = torch.Generator().manual_seed(16)
    row = (1, 1, manifest.hidden_size)
    past = [zeros(state) for state in spec.states]
    for launch in range(4):
        inputs = {
            "rows": torch.randn(1, 5 if launch == 0 else 1, manifest.hidden_size, generator=rng),
            "hidden": torch.randn(row, generator=rng),
            "feedback": torch.randn(row, generator=rng),
            "length": torch.tensor([5 if launch == 0 else 1]),
            "position": torch.tensor([0 if launch == 0 else 4 + launch]),
            "code": torch.tensor([17]),
            "step": torch.tensor([launch]),
            "draws": torch.rand(1, manifest.codebooks, generator=rng),
            "allow_end": torch.tensor([True]),
            "temperature": torch.ones(1, 2),
            "top_k": torch.ones(1, 2, dtype=torch.int64),
            "top_p": torch.ones(1, 2),
            "repetition_penalty": torch.ones(1),
            "talker_ranks": torch.arange(1),
            "predictor_ranks": torch.arange(1),
        }
        arguments = [inputs[each.name] for each in spec.inputs]
        after = network.run(arguments, past)
        feeds = {each.name: inputs[each.name].numpy() for each in spec.inputs}
        feeds |= {s.past.name: as_numpy(x) for s, x in zip(spec.states, past, strict=True)}
        found = dict(zip(names, run(feeds), strict=True))
        at = f"{graph} for {flavour} in {kind}, launch {launch}"
        if graph == TALKER_STEP:
            hidden = after.pop(0)
            assert_close(f"typed.{kind}", found["hidden"], hidden.numpy(), at)
        for state, value in zip(spec.states, after, strict=True):
            if state.present in found:
                mine = np.asarray(found[state.present])
                assert mine.dtype == as_numpy(value).dtype
                mine, theirs = mine.astype(np.float32), value.float().numpy()
                assert_close(f"typed.{kind}", mine, theirs, f"{at}, {state.present}")
        scores, expected = np.asarray(found[names[-1]]), network.scores.numpy()
        allowed = np.isfinite(expected)
        assert np.array_equal(np.isfinite(scores), allowed)
        assert_close(f"typed.{kind}", scores[allowed], expected[allowed], at)
        past = after
