"""Rung 1: each graph of a bundle, alone in ONNX Runtime, computes what our torch module does."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper
from onnxscript import ir

from parity.forced import empty_codec_state
from parity.tolerances import assert_close, note
from qwen3_tts_edge import Sampling, Synthesizer, Voice
from qwen3_tts_edge.backends import open_backend
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, FRAME, TOTAL, Manifest
from qwen3_tts_edge.speech.prompt import PromptBuilder
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.graphs.declared import codec_decoder_graph, frame_graph
from qwen3_tts_export.graphs.in_place import may_run_in_place
from qwen3_tts_export.graphs.weight_file import HALF
from qwen3_tts_export.modules.layers import Weights
from qwen3_tts_export.parity.forced_graph import ForcedGraph
from qwen3_tts_export.precision import blocks as quantize
from slots_by_hand import placed, random_request
from tiny import EDGE_VOICE

BUNDLES = ("same", "narrow", "edge-voice")
CONTRIB = "com.microsoft"


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Callable[..., Path], exact_voice_bundle: Path) -> Callable[[str], Path]:
    def find(name: str) -> Path:
        return exact_voice_bundle if name == "edge-voice" else tiny_bundle("custom_voice", name)

    return find


def prompts(folder: Path) -> PromptBuilder:
    return PromptBuilder(Bundle.open(folder))


def weights_of(checkpoint: Checkpoint) -> dict[str, Weights]:
    config = checkpoint.config
    positions = config.talker.max_positions
    return {
        FRAME: frame_graph(config, checkpoint.talker, positions).weights,
        CODEC_DECODER: codec_decoder_graph(config.codec, checkpoint.codec).weights,
    }


def initializers(path: Path) -> dict[str, np.ndarray]:
    model = onnx.load(str(path))
    return {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}


@pytest.mark.parametrize("layout", ["upfront", "streamed"])
@pytest.mark.parametrize("name", BUNDLES)
def test_the_frame_graph_says_what_our_modules_say(
    bundle: Callable, modules: Callable, name: str, layout: str
) -> None:
    """Logits, hidden states, feedback and KV cache over 24 frames of given, random codes."""
    folder = bundle(name)
    prompt = prompts(folder).build("Hello there, my friend.", text_layout=layout)
    size = modules(name).config.predictor.vocab_size
    codes = np.random.default_rng(4).integers(0, size, (24, 16))
    expected, found = modules(name).force(prompt, codes), ForcedGraph(folder).force(prompt, codes)
    where = f"{name}, {layout}"
    assert_close("graphs.logits", found.talker, expected.talker, f"{where}, talker")
    assert_close("graphs.logits", found.predictor, expected.predictor, f"{where}, predictor")
    assert_close("graphs.hidden", found.hidden, expected.hidden, where)
    assert_close("graphs.states", found.feedback, expected.feedback, f"{where}, feedback")
    assert len(found.cache) == len(expected.cache) == 2 * modules(name).config.talker.num_layers
    for i, (part, reference) in enumerate(zip(found.cache, expected.cache, strict=True)):
        assert part.shape[2] == len(prompt.rows) + 23
        assert_close("graphs.states", part, reference, f"{where}, cache {i}")


@pytest.mark.parametrize("name", BUNDLES)
def test_the_codec_graph_makes_the_samples_of_our_module(
    bundle: Callable, modules: Callable, name: str
) -> None:
    """Samples and every carried tensor, over chunks of several lengths, past the window."""
    folder, config = bundle(name), modules(name).config.codec
    codec, state = modules(name).codec(), empty_codec_state(config)
    spec = Manifest.load(folder).graphs[CODEC_DECODER]
    session = ort.InferenceSession(folder / spec.file, providers=["CPUExecutionProvider"])
    past = {s.past.name: x.numpy() for s, x in zip(spec.states, state, strict=True)}
    codes, at = np.random.default_rng(5).integers(0, config.codebook_size, (1, 90, 16)), 0
    for frames in (1, 2, 4, 8, 75):
        chunk, position = codes[:, at : at + frames], np.array([at])
        samples, *present = session.run(None, {"codes": chunk, "position": position, **past})
        past = {s.past.name: x for s, x in zip(spec.states, present, strict=True)}
        with torch.inference_mode():
            expected, state = codec(torch.from_numpy(chunk), torch.from_numpy(position), state)
        assert_close("graphs.samples", samples, expected.numpy(), f"{name}, frame {at}")
        for s, reference in zip(spec.states, state, strict=True):
            where = f"{name}, frame {at}, {s.present}"
            assert_close("graphs.states", past[s.past.name], reference.numpy(), where)
        at += frames


def onnx_type(dtype: str) -> str:
    return {
        "float32": "tensor(float)",
        "int32": "tensor(int32)",
        "int64": "tensor(int64)",
        "bool": "tensor(bool)",
    }[dtype]


@pytest.mark.parametrize("graph", [FRAME, CODEC_DECODER])
@pytest.mark.parametrize("name", [*BUNDLES, "int8"])
def test_names_types_and_axes_are_those_of_the_manifest(
    bundle: Callable, voice_bundle: Path, name: str, graph: str
) -> None:
    folder = voice_bundle if name == "int8" else bundle(name)
    spec = Manifest.load(folder).graphs[graph]
    session = ort.InferenceSession(folder / spec.file, providers=["CPUExecutionProvider"])
    inputs = [*spec.inputs, *(state.past for state in spec.states)]
    presents = [(s.present, s.past.dtype, s.past.shape) for s in spec.states]
    outputs = [*((s.name, s.dtype, s.shape) for s in spec.outputs), *presents]
    assert [(x.name, x.type, tuple(x.shape)) for x in session.get_inputs()] == [
        (spec.name, onnx_type(spec.dtype), spec.shape) for spec in inputs
    ]
    assert [(x.name, x.type, tuple(x.shape)) for x in session.get_outputs()] == [
        (name, onnx_type(dtype), shape) for name, dtype, shape in outputs
    ]


@pytest.mark.parametrize("graph", [FRAME, CODEC_DECODER])
@pytest.mark.parametrize("name", [*BUNDLES, "int8"])
def test_the_onnx_checker_passes_and_few_operations_are_ort_only(
    bundle: Callable, voice_bundle: Path, name: str, graph: str
) -> None:
    """The checker passes over contrib operations, which it does not know."""
    path = (voice_bundle if name == "int8" else bundle(name)) / f"{graph}.onnx"
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path), load_external_data=False)
    assert {x.domain: x.version for x in model.opset_import} == {"": 23, CONTRIB: 1}
    assert not model.functions
    contrib = Counter(node.op_type for node in model.graph.node if node.domain == CONTRIB)
    config = Checkpoint.open(EDGE_VOICE).config
    layers = config.talker.num_layers + 15 * config.predictor.num_layers
    in_a_layer = {"SkipSimplifiedLayerNormalization": 2, "QuickGelu": 1}
    if graph == FRAME:
        in_a_layer |= {"GroupQueryAttention": 1}
    if graph == FRAME and name == "int8":
        in_a_layer |= {"MatMulNBits": 4}
    assert set(contrib) == set(in_a_layer)
    if graph == FRAME and name in ("int8", "edge-voice"):
        expected = {kind: layers * count for kind, count in in_a_layer.items()}
        if name == "int8":
            expected["MatMulNBits"] += config.talker.num_codebooks  # a head each
        assert contrib == expected


@pytest.mark.parametrize("name", BUNDLES)
def test_a_fp32_graph_holds_the_numbers_of_the_checkpoint(
    bundle: Callable, modules: Callable, name: str
) -> None:
    for graph, weights in weights_of(modules(name).checkpoint).items():
        found = initializers(bundle(name) / f"{graph}.onnx")
        assert weights.keys() <= found.keys()
        for weight, make in weights.items():
            assert found[weight].dtype == np.float32
            assert np.array_equal(found[weight], make().numpy()), weight
        # No weight is in it a second time: what else there is are counters, shapes and scalars.
        others = [found[name] for name in found.keys() - weights.keys()]
        assert all(x.size <= 64 for x in others if x.dtype == np.float32)
        assert sum(x.nbytes for x in others) < 64 * 1024


# in place


@pytest.mark.parametrize("name", [*BUNDLES, "int8"])
def test_the_frame_graph_may_run_in_place(bundle: Callable, voice_bundle: Path, name: str) -> None:
    folder = voice_bundle if name == "int8" else bundle(name)
    spec = Manifest.load(folder).graphs[FRAME]
    assert spec.in_place
    model = ir.load(folder / spec.file)
    assert may_run_in_place(model, spec.states)
    for state in spec.states[2:]:
        # One reader, which is the writer: GroupQueryAttention on a shared buffer.
        value = next(x for x in model.graph.inputs if x.name == state.past.name)
        (reader, _), *others = value.uses()
        assert not others
        assert reader.op_type == "GroupQueryAttention"
        assert state.present in [output.name for output in reader.outputs]


@pytest.mark.parametrize("name", BUNDLES)
def test_running_in_place_gives_what_two_buffers_give(bundle: Callable, name: str) -> None:
    """The proof, tried: the codec and the frame graph on one buffer a state and on two."""
    folder = bundle(name)
    manifest = Manifest.load(folder)
    backend, rng = open_backend(threads=1), np.random.default_rng(6)
    for graph in (FRAME, CODEC_DECODER):
        spec = manifest.graphs[graph]
        assert spec.in_place
        sizes = {"capacity": 64} if graph == FRAME else {}
        opened = [
            backend.open(folder, each)
            for each in (spec, msgspec.structs.replace(spec, in_place=False))
        ]
        shared, apart = ((each, each.state(**sizes)) for each in opened)
        request, at = random_request(manifest, 3, 9), 0
        for launch in range(12):
            rows = 9 if launch == 0 else 1
            if graph == CODEC_DECODER:
                inputs = {
                    "codes": rng.integers(0, manifest.codebook_size, (1, rows, 16)),
                    "position": np.array([at]),
                }
            else:
                total = {TOTAL: np.array([at + rows])}
                inputs = request(launch) | placed(rows, at) | total
            at += rows
            one, two = (each.run(inputs, state) for each, state in (shared, apart))
            for output, value in one.items():
                assert np.array_equal(value, two[output]), (graph, launch, output)


# int8


def test_only_the_matrices_of_layers_and_heads_are_int8(voice_bundle: Path) -> None:
    checkpoint = Checkpoint.open(EDGE_VOICE)
    for graph, weights in weights_of(checkpoint).items():
        found = initializers(voice_bundle / f"{graph}.onnx")
        quantized = {name for name in weights if f"{name}.int8" in found}
        config = checkpoint.config
        parts = {"talker": config.talker.num_layers, "predictor": config.predictor.num_layers}
        assert quantized == {
            f"{part}.trunk.layers.{i}.{matrix}.weight"
            for part, layers in parts.items()
            for i in range(layers)
            for matrix in ("qkv", "output", "gate_up", "down")
            if graph == FRAME
        } | {name for name in weights if ".head" in name and graph == FRAME}
        assert not quantized & found.keys()
        for name in weights.keys() - quantized:
            # What bfloat16 holds without loss is stored in it, the rest in float32.
            stored = found.get(f"{name}.bf16", found.get(name))
            assert stored is not None, name
            assert stored.dtype in (np.float32, HALF)
            assert np.array_equal(stored.astype(np.float32), weights[name]().numpy()), name


def test_an_int8_matrix_dequantises_to_the_policys_numbers(voice_bundle: Path) -> None:
    """As stored, and as ONNX Runtime's own MatMulNBits reads it: an identity goes through."""
    path = voice_bundle / f"{FRAME}.onnx"
    weights, found = weights_of(Checkpoint.open(EDGE_VOICE))[FRAME], initializers(path)
    nodes = onnx.load(str(path), load_external_data=False).graph.node
    for matrix in ("talker.trunk.layers.0.qkv", "predictor.trunk.layers.1.down"):
        name = f"{matrix}.weight"
        original = weights[name]().numpy()
        scale = quantize.scales_of(original, 8, math.gcd(len(original), 64))
        numbers = quantize.to_numbers(original, scale)
        expected = quantize.whole(numbers, scale)
        assert np.abs(expected - original).max() <= scale.max() / 2 * 1.0001
        packed, scales = found[f"{name}.int8"], found[f"{name}.scales"]
        stored = (packed.astype(np.float32) - 128) * scales[:, :, None]
        stored = stored.reshape(len(packed), -1).T
        assert_close("graphs.int8_weights", stored, expected, name)

        node = next(node for node in nodes if f"{name}.int8" in node.input)
        attributes = {a.name: a.i for a in node.attribute}
        assert attributes["accuracy_level"] == 4
        assert (attributes["K"], attributes["N"]) == original.shape
        alone = onnx.helper.make_node(node.op_type, ["a", "b", "s"], ["y"], domain=CONTRIB)
        alone.attribute.extend(node.attribute)
        tensor = onnx.helper.make_tensor_value_info
        model = onnx.helper.make_model(
            onnx.helper.make_graph(
                [alone],
                "one",
                [tensor("a", onnx.TensorProto.FLOAT, ["m", len(original)])],
                [tensor("y", onnx.TensorProto.FLOAT, None)],
                [numpy_helper.from_array(packed, "b"), numpy_helper.from_array(scales, "s")],
            ),
            opset_imports=[onnx.helper.make_opsetid("", 23), onnx.helper.make_opsetid(CONTRIB, 1)],
            ir_version=10,
        )
        session = ort.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        (read,) = session.run(None, {"a": np.eye(len(original), dtype=np.float32)})
        assert_close("graphs.int8_weights", read, expected, f"{name} read by ONNX Runtime")


def test_int8_agrees_with_fp32_on_the_bundled_voice(
    voice_bundle: Path, exact_voice_bundle: Path
) -> None:
    """Given fp32's own greedy codes of two sentences: how often int8 would choose the same."""
    exact, small = ForcedGraph(exact_voice_bundle), ForcedGraph(voice_bundle)
    tts = Synthesizer.open(exact_voice_bundle, threads=1, verify=False)
    same: list[np.ndarray] = []
    for text in ("Set a timer for ten minutes.", "What is the weather like today?"):
        spoken = tts.speak(text, Voice.speaker("heart"), sampling=Sampling.greedy(), seed=0)
        assert len(spoken.codes) > 15
        prompt = prompts(exact_voice_bundle).build(text, Voice.speaker("heart"))
        reference = exact.force(prompt, spoken.codes)
        # int8 reads the prompt from its own tables, which are fp16
        found = small.force(prompts(voice_bundle).build(text, Voice.speaker("heart")), spoken.codes)
        first = reference.talker.argmax(-1) == found.talker.argmax(-1)
        others = reference.predictor.argmax(-1) == found.predictor.argmax(-1)
        same.append(np.column_stack((first, others)))
    agreement = np.concatenate(same).mean(axis=0)
    note("int8: codebook 0 disagrees", 1 - agreement[0])
    note("int8: codebooks 1-15 disagree", 1 - agreement[1:].mean())
    note("int8: worst codebook disagrees", 1 - agreement.min())
    print(f"int8 agreement by codebook: {np.round(agreement, 3).tolist()}")  # noqa: T201
    assert agreement.mean() > 0.9
    assert agreement.min() > 0.75
