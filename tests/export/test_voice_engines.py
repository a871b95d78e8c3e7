"""Every graph that speaks is built, on every run: what TensorRT refuses in one shows here."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from qwen3_tts_edge.backends.tensorrt.library import make_logger
from qwen3_tts_edge.bundle.engines import FOLDER, Engines
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, PREDICTOR_STEP, TALKER_STEP, Manifest
from qwen3_tts_export.bundle.description import describe
from qwen3_tts_export.bundle.graph_files import write_graphs
from qwen3_tts_export.bundle.writing import write_bundle
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.checkpoint.random import random_from_spec
from qwen3_tts_export.engines.building import build_engines
from qwen3_tts_export.engines.plan import read_graph
from qwen3_tts_export.graphs.declared import predictor_step_graph, talker_step_graph
from qwen3_tts_export.precision.policy import find_precision
from tiny import EDGE_VOICE

trt = pytest.importorskip("tensorrt_rtx")

GRAPHS = {TALKER_STEP, PREDICTOR_STEP, CODEC_DECODER}
KERNELS = 30e6
"""Of a plan for four capabilities, what is not weights: less than this many bytes."""
Built = Callable[[str], Path]


@pytest.fixture(scope="module")
def built(made_once: Callable[..., Path], bundle_in: Callable[..., Path]) -> Built:
    """Return a function that gives the bundled voice in a precision, with engines for RTX."""

    def make(precision: str) -> Path:
        exported = bundle_in("edge-voice", "trt", precision)

        def build(folder: Path) -> None:
            shutil.copytree(exported, folder)
            build_engines(folder, "rtx")

        return made_once(f"edge-voice-{precision}-trt-engines", build)

    return make


def read_engines(bundle: Path) -> Engines:
    [folder] = (bundle / FOLDER).iterdir()
    engines = Engines.load(folder)
    engines.verify(folder)
    return engines


def weights(bundle: Path, graph: str) -> int:
    return (bundle / f"{graph}.data").stat().st_size


def check_sizes(bundle: Path) -> None:
    for name, plan in read_engines(bundle).plans.items():
        assert 0.9 * weights(bundle, name) < plan.size < weights(bundle, name) + KERNELS, name


@pytest.mark.parametrize("precision", ["fp16", "int8", "int4"])
def test_every_graph_that_speaks_is_built(built: Built, precision: str) -> None:
    bundle = built(precision)
    assert read_engines(bundle).plans.keys() == GRAPHS
    check_sizes(bundle)


def test_a_frame_in_bfloat16_is_built(tmp_path: Path, traced_once: None) -> None:
    """Its codec is that of fp16."""
    checkpoint = Checkpoint.open(EDGE_VOICE)
    config, tensors = checkpoint.config, checkpoint.talker
    frame = [
        talker_step_graph(config, tensors, config.talker.max_positions),
        predictor_step_graph(config, tensors),
    ]
    bf16 = find_precision("bf16", "trt")
    specs = write_graphs(frame, tensors.entries, tmp_path, bf16, "trt", lambda *_: None)
    describe(checkpoint, tmp_path, "bf16", "trt", specs).save(tmp_path)
    build_engines(tmp_path, "rtx")
    assert read_engines(tmp_path).plans.keys() == {TALKER_STEP, PREDICTOR_STEP}
    check_sizes(tmp_path)


@pytest.mark.parametrize("name", [TALKER_STEP, PREDICTOR_STEP])
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_whole_numbers_stay_as_small(built: Built, name: str, precision: str) -> None:
    """A plan is smaller by about as much as the weights are."""
    bundles = built("fp16"), built(precision)
    half, rounded = (weights(bundle, name) for bundle in bundles)
    half_plan, rounded_plan = (read_engines(bundle).plans[name].size for bundle in bundles)
    assert half_plan - rounded_plan > 0.7 * (half - rounded) > 0


@pytest.mark.parametrize("name", [TALKER_STEP, PREDICTOR_STEP])
def test_the_kv_cache_is_updated_in_place(built: Built, name: str) -> None:
    bundle = built("int8")
    spec = Manifest.load(bundle).graphs[name]
    logger = make_logger(trt, [])
    builder = trt.Builder(logger)
    axes = read_engines(bundle).axes
    network, _parser = read_graph(trt, builder, logger, bundle / spec.file, axes)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    updates = {
        layer.get_output(0).name: layer.get_input(0).name
        for layer in layers
        if layer.type == trt.LayerType.KV_CACHE_UPDATE
    }
    caches = {s.present: s.past.name for s in spec.states if "key_values" in s.past.name}
    assert updates == caches != {}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_06b_is_built(tmp_path: Path, precision: str) -> None:
    """In full size weights are nearly all of a plan, and it holds them once."""
    checkpoint = random_from_spec("0.6b-customvoice", tmp_path / "checkpoint", 0)
    bundle = tmp_path / "bundle"
    write_bundle(Checkpoint.open(checkpoint), bundle, precision=precision, flavour="trt")
    build_engines(bundle, "rtx")
    for name, plan in read_engines(bundle).plans.items():
        there = weights(bundle, name)
        assert 0.9 * there < plan.size < 1.1 * there + KERNELS, name
