"""The whole synthesizer on TensorRT, over a fake GPU whose engines are the bundle's own graphs.

The graphs of flavours `trt` and `compat` run on ONNX Runtime; addresses, order, streams and
captured graphs are the backend's own. It must speak what the CPU speaks, code by code.
"""

import functools
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import fake_gpu
import fake_tensorrt
from conftest import TinyBundle
from fake_gpu import FakeGpu
from fake_tensorrt import FakeTensorRT, write_engines
from parity.tolerances import assert_close
from qwen3_tts_edge import Sampling, Synthesizer
from qwen3_tts_edge.backends import open_backend
from qwen3_tts_edge.backends.tensorrt.backend import TensorRTBackend
from qwen3_tts_edge.bundle.manifest import CODEC_ENCODER, Manifest
from qwen3_tts_edge.errors import BackendError, CapacityError
from qwen3_tts_edge.speech.request import Request
from slots_by_hand import alone, company, random_request

TEXT = "Hello there, how are you?"
SECONDS = 1.6
GREEDY = Sampling.greedy()
LOUD = Sampling(temperature=1.3, top_k=0, top_p=0.9, repetition_penalty=1.4)
CAPACITY = 96


@pytest.fixture(scope="module", params=["trt", "compat"])
def flavoured(request: pytest.FixtureRequest, bundle_in: Callable[[str, str], Path]) -> Path:
    """Give a bundle for TensorRT, without engines."""
    return bundle_in("same", request.param)


@pytest.fixture(scope="module")
def on_cpu(tiny_bundle: TinyBundle) -> Synthesizer:
    return Synthesizer.open(tiny_bundle(), threads=1)


class OnGpu:
    """A bundle, and the fake GPU that it will run on."""

    def __init__(self, folder: Path, gpu: FakeGpu, library: FakeTensorRT) -> None:
        self.folder, self.gpu, self.library = folder, gpu, library

    def open(self, **options: object) -> Synthesizer:
        return Synthesizer.open(self.folder, verify=False, **options)  # type: ignore[arg-type]


@pytest.fixture(params=["late", "eager"])
def on_gpu(
    request: pytest.FixtureRequest,
    flavoured: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> OnGpu:
    folder = tmp_path / "bundle"
    shutil.copytree(flavoured, folder, copy_function=os.symlink)
    in_place = Manifest.load(folder).flavour == "trt"
    write_engines(folder, capacity=CAPACITY, aliased=in_place, most={"rows": 8, "frames": 3})
    gpu = FakeGpu(eager=request.param == "eager")
    names = ("talker_step", "predictor_step", "codec_decoder")
    library = FakeTensorRT("tensorrt", gpu, {name: _graph(flavoured, name) for name in names})
    fake_gpu.install(monkeypatch, gpu)
    fake_tensorrt.install(monkeypatch, library)
    return OnGpu(folder, gpu, library)


@functools.cache
def _graph(folder: Path, name: str) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """A graph of the bundle, as a function."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    path = str(folder / f"{name}.onnx")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))


@pytest.mark.parametrize(
    ("sampling", "layout"), [(GREEDY, "upfront"), (LOUD, "streamed")], ids=["greedy", "sampled"]
)
def test_it_speaks_what_the_cpu_speaks(
    on_gpu: OnGpu, on_cpu: Synthesizer, sampling: Sampling, layout: str
) -> None:
    """Two requests one after the other; prompts of more rows than a launch takes."""
    tts = on_gpu.open(backend="tensorrt")
    assert tts.backend == "tensorrt"
    for seed, text in enumerate((TEXT, "No.")):
        asked = {"sampling": sampling, "seed": seed, "text_layout": layout, "max_seconds": SECONDS}
        expected = on_cpu.speak(text, **asked)  # type: ignore[arg-type]
        before = on_gpu.gpu.calls.copy()
        found = tts.speak(text, **asked)  # type: ignore[arg-type]
        assert np.array_equal(found.codes, expected.codes)
        assert found.metrics.ended == expected.metrics.ended
        assert_close("graphs.samples", found.samples, expected.samples)
        assert seed == 0 or not (on_gpu.gpu.calls - before).keys() & ONCE


ONCE = {"cudaMalloc", "cudaHostAlloc", "cudaStreamBeginCapture", "cudaGraphInstantiate"}
"""What happens when a bundle is opened and when it first speaks, and never again."""


def test_a_batch_speaks_what_each_would_alone(on_gpu: OnGpu, on_cpu: Synthesizer) -> None:
    requests = [
        Request("One two.", sampling=LOUD, seed=3, max_seconds=0.8),
        Request(TEXT, sampling=GREEDY, seed=4, max_seconds=SECONDS),
    ]
    expected = on_cpu.speak_batch(requests)
    for found, wanted in zip(on_gpu.open().speak_batch(requests), expected, strict=True):
        assert np.array_equal(found.codes, wanted.codes)
        assert_close("graphs.samples", found.samples, wanted.samples)


def test_a_stream_that_nobody_hears_to_its_end(on_gpu: OnGpu, on_cpu: Synthesizer) -> None:
    """A frame is on its way when the next request begins."""
    tts = on_gpu.open()
    next(tts.stream(TEXT, sampling=LOUD, seed=1, max_seconds=SECONDS, chunk_frames=[3]))
    asked = {"sampling": LOUD, "seed": 2, "max_seconds": 0.8}
    expected = on_cpu.speak("No.", **asked)  # type: ignore[arg-type]
    assert np.array_equal(tts.speak("No.", **asked).codes, expected.codes)  # type: ignore[arg-type]


def test_longer_than_the_engines(on_gpu: OnGpu) -> None:
    assert on_gpu.open().frame_graph.capacity == CAPACITY
    message = r"max_seconds 9 needs 625 positions, the engines were built for 96; build"
    with pytest.raises(CapacityError, match=message):
        on_gpu.open(max_seconds=9)


def test_engines_of_another_gpu(on_gpu: OnGpu) -> None:
    shutil.rmtree(on_gpu.folder / "engines")
    here = r"has no engines for \[tensorrt 10.16.1 on sm_89 \(Fake GPU\), graphs \w+\]"
    with pytest.raises(BackendError, match=f"{here}; it has none; run: qwen3-tts-export engines"):
        on_gpu.open()
    write_engines(on_gpu.folder, capabilities=("sm_90",), gpu="Another GPU")
    there = r"\[tensorrt 10.16.1 on sm_90 \(Another GPU\), graphs \w+\]"
    with pytest.raises(BackendError, match=f"{here}; it has those for {there}; run"):
        on_gpu.open()


def test_company_changes_nothing(on_gpu: OnGpu, tiny_bundle: TinyBundle) -> None:
    """Joins in flight, rests, leaves and snapshots: each says what it says on the CPU by itself."""
    manifest, cpu = Manifest.load(on_gpu.folder), open_backend("ort-cpu", threads=1)
    prompts = (9, 1, 12, 5, 4)
    requests = [random_request(manifest, seed, prompt) for seed, prompt in enumerate(prompts)]
    backend = TensorRTBackend("tensorrt", threads=1)
    frame = backend.open_frame(on_gpu.folder, manifest.graphs, CAPACITY)
    assert (frame.slots, frame.capacity) == (8, CAPACITY)
    folder = tiny_bundle()
    by_itself = cpu.open_frame(folder, Manifest.load(folder).graphs, CAPACITY)
    for found, request in zip(company(frame, requests), requests, strict=True):
        assert np.array_equal(found, alone(by_itself, request, len(found)))


def test_an_encoder_runs_on_the_cpu(on_gpu: OnGpu, tiny_bundle: TinyBundle) -> None:
    """It has no engine, and it runs once a voice."""
    folder, samples = tiny_bundle("base"), {"samples": np.zeros((1, 4000), np.float32)}
    spec = Manifest.load(folder).graphs[CODEC_ENCODER]
    found = TensorRTBackend("tensorrt", threads=1).open(folder, spec)
    expected = open_backend("ort-cpu", threads=1).open(folder, spec)
    assert np.array_equal(
        *(graph.run(samples, graph.state())["codes"] for graph in (found, expected))
    )
