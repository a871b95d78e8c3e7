"""The TensorRT backend over a fake GPU: everything but what the driver and TensorRT do.

Two runs of each: work is done when somebody waits for it, and as soon as it is launched.
"""

import gc
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pytest

import fake_gpu
import fake_tensorrt
import toy_frame as toy
from fake_gpu import CudaError, FakeGpu
from fake_tensorrt import FakeTensorRT, Plan, kv_cache, write_plan
from qwen3_tts_edge import backends
from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.backends.tensorrt import backend as tensorrt
from qwen3_tts_edge.backends.tensorrt.engine import Engine, Library
from qwen3_tts_edge.backends.tensorrt.frame import TensorRTFrame
from qwen3_tts_edge.backends.tensorrt.graph import TensorRTGraph
from qwen3_tts_edge.bundle.engines import AxisRange
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.errors import BackendError, BundleError, CapacityError

SIZES = {"batch": 3, "rows": 4, "frames": 6}
AXES = {name: AxisRange(least=1, best=1, most=most) for name, most in SIZES.items()}
AXES["capacity"] = AxisRange(least=toy.CAPACITY, best=toy.CAPACITY, most=toy.CAPACITY)


@dataclass
class World:
    """A fake GPU with a fake library, and a folder for plans."""

    gpu: FakeGpu
    library: FakeTensorRT
    folder: Path
    aliased: bool = True

    @cached_property
    def loader(self) -> Library:
        return Library(self.library.__name__)

    def engine(self, spec: GraphSpec, **plan: object) -> Engine:
        name = Path(spec.file).stem
        path = self.folder / f"{name}.plan"
        inside = kv_cache(spec) if self.aliased else ()
        write_plan(path, Plan(graph=name, spec=spec, axes=AXES, aliased=inside, **plan))  # type: ignore[arg-type]
        return self.loader.load(path, spec, AXES)

    def frame(self, slots: int = 1) -> TensorRTFrame:
        return TensorRTFrame(Cuda(), self.engine(toy.TALKER), self.engine(toy.PREDICTOR), slots)

    def codec(self) -> TensorRTGraph:
        return TensorRTGraph(Cuda(), self.engine(toy.CODEC), {"batch": 1})


@pytest.fixture(params=[False, True], ids=["late", "eager"])
def world(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[World]:
    gpu = FakeGpu(eager=request.param)
    library = FakeTensorRT("tensorrt", gpu, toy.COMPUTES)
    fake_gpu.install(monkeypatch, gpu)
    fake_tensorrt.install(monkeypatch, library)
    return World(gpu, library, tmp_path)


class Speaker:
    """Makes the inputs of an utterance's frames, as the frame loop does."""

    def __init__(self, slots: int, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._position = np.zeros(slots, np.int64)

    def inputs(self, *lengths: int) -> dict[str, np.ndarray]:
        random, slots = self._random, len(lengths)
        length = np.array(lengths)
        rows = random.random((slots, max(lengths), toy.HIDDEN), np.float32)
        found = {
            "rows": rows,
            "length": length,
            "position": self._position.copy(),
            "draws": random.random((slots, toy.CODEBOOKS), np.float32),
            "allow_end": np.full(slots, random.random() > 0.5),
            "temperature": random.random((slots, 2), np.float32),
            "top_k": random.integers(1, 9, (slots, 2)),
            "top_p": random.random((slots, 2), np.float32),
            "repetition_penalty": random.random(slots, np.float32),
        }
        self._position += length
        return found


@pytest.mark.parametrize("aliased", [True, False], ids=["cache in place", "two caches"])
@pytest.mark.parametrize("prompt", [(1,), (4,), (5,), (13,), (3, 1), (2, 11), (12, 5, 9)])
def test_frames_are_those_of_plain_arrays(
    world: World, prompt: tuple[int, ...], aliased: bool
) -> None:
    """Prompts of any length, the next utterance after one, and one that was cut short."""
    world.aliased = aliased
    slots = len(prompt)
    frame, reference = world.frame(slots), toy.Reference(slots)
    for utterance in range(3):
        speaker = Speaker(slots, utterance)
        frame.begin()
        reference.begin()
        waiting: list[Callable[[], np.ndarray]] = []
        for number in range(6):
            inputs = speaker.inputs(*(prompt if number == 0 else (1,) * slots))
            expected = reference.frame(inputs)
            waiting.append(partial(_compare, frame.launch(inputs), expected))
            for values in inputs.values():
                values.fill(0)  # the caller's arrays are his again
            if len(waiting) > frame.ahead:
                waiting.pop(0)()
        # What is left in `waiting` is dropped, as after the end of speech.


def _compare(wait: Callable[[], np.ndarray], expected: np.ndarray) -> None:
    assert np.array_equal(wait(), expected)


def test_a_frame_is_one_launch_of_a_graph(world: World) -> None:
    frame, speaker = world.frame(), Speaker(1)
    frame.begin()
    frame.launch(speaker.inputs(3))()
    world.gpu.order.clear()
    for _ in range(5):
        frame.launch(speaker.inputs(1))()
    calls = ["cudaEventSynchronize", "cudaGraphLaunch", "cudaEventRecord", "cudaEventSynchronize"]
    assert world.gpu.order == calls * 5


def test_the_graphs_are_captured_when_the_bundle_is_opened(world: World) -> None:
    world.frame()
    one = ["talker_step"] + ["predictor_step"] * toy.CODEBOOKS
    assert [name for name, _, captured in world.library.launches if not captured] == one * 2
    assert [name for name, _, captured in world.library.launches if captured] == one * 2
    assert world.gpu.calls["cudaGraphInstantiate"] == 2


def test_nothing_is_allocated_or_captured_once_it_is_open(world: World) -> None:
    frame, codec = world.frame(2), world.codec()
    before = world.gpu.calls.copy()
    for utterance in range(3):
        speaker = Speaker(2, utterance)
        frame.begin()
        frame.launch(speaker.inputs(7, 2))()
        for _ in range(6):
            codes = frame.launch(speaker.inputs(1, 1))()
            codec.run({"codes": codes[:1, None], "position": np.array([0])})
    used = set(world.gpu.calls - before)
    assert used == {
        "cudaEventRecord",
        "cudaEventSynchronize",
        "cudaGraphLaunch",
        "cudaMemcpyAsync",
        "cudaMemsetAsync",
    }


def test_codes_are_the_callers_to_keep(world: World) -> None:
    frame, speaker = world.frame(), Speaker(1)
    frame.begin()
    first = frame.launch(speaker.inputs(2))()
    kept = first.copy()
    for _ in range(3):
        frame.launch(speaker.inputs(1))()
    assert np.array_equal(first, kept)


def test_codes_that_nobody_read_in_time(world: World) -> None:
    frame, speaker = world.frame(), Speaker(1)
    frame.begin()
    late = frame.launch(speaker.inputs(2))
    for _ in range(frame.ahead + 1):
        frame.launch(speaker.inputs(1))
    with pytest.raises(AssertionError, match="not read in time"):
        late()


def test_all_of_it_is_given_back(world: World) -> None:
    frame, codec = world.frame(), world.codec()
    wider = frame.resized(3)
    wider.begin()
    wider.launch(Speaker(3).inputs(2, 2, 2))
    assert all(world.gpu.held)
    del frame, codec, wider
    gc.collect()
    assert world.gpu.held == (0, 0, 0, 0)


def test_the_codec_carries_its_state_in_any_chunks(world: World) -> None:
    codes = np.random.default_rng(0).integers(0, 17, (1, 13, toy.CODEBOOKS))
    zero = np.zeros((1, 1), np.float32)
    for sizes in ([1] * 13, [6, 6, 1], [1, 2, 4, 6], [3, 5, 5]):
        codec = world.codec()
        for _ in range(2):
            codec.reset()
            state, start = zero, 0
            for size in sizes:
                inputs = {"codes": codes[:, start : start + size], "position": np.array([start])}
                expected = toy.decode(inputs | {"past.sum": state})
                assert np.array_equal(codec.run(inputs)["samples"], expected["samples"])
                state, start = expected["present.sum"], start + size


def test_the_codec_does_not_wait_for_the_next_frame(world: World) -> None:
    frame, codec, speaker = world.frame(), world.codec(), Speaker(1)
    frame.begin()
    first = frame.launch(speaker.inputs(2))
    frame.launch(speaker.inputs(1))
    samples = codec.run({"codes": first()[:, None], "position": np.array([0])})["samples"]
    assert samples.shape == (1, 4)
    talks, decodes = ({s for name, s, _ in world.library.launches if name == of} for of in _BOTH)
    assert len(talks) == len(decodes) == 1
    assert talks != decodes, "a stream of its own"
    assert world.gpu.eager or max(world.gpu.unfinished) > 0, "the frame is still under way"


_BOTH = ("talker_step", "codec_decoder")


def test_rtx_compiles_before_it_is_captured(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for what is captured: prompts are of any length, and compiling takes a while."""
    world.library = FakeTensorRT("tensorrt_rtx", world.gpu, toy.COMPUTES)
    fake_tensorrt.install(monkeypatch, world.library)
    world.frame()
    found = Counter((context.graph, context.eager) for context in world.library.contexts)
    assert found == {
        ("talker_step", True): 1,
        ("talker_step", False): 1,
        ("predictor_step", True): 1,
    }


def test_a_library_that_knows_no_aliases(world: World) -> None:
    """Before 10.15: the cache has two buffers."""
    world.aliased, world.library.knows_aliases = False, False
    frame, reference, speaker = world.frame(), toy.Reference(1), Speaker(1)
    frame.begin()
    for length in (3, 1, 1):
        inputs = speaker.inputs(length)
        assert np.array_equal(frame.launch(inputs)(), reference.frame(inputs))


def test_more_than_the_engines_were_built_for(world: World) -> None:
    message = "4 batch are asked for, the engines were built for at most 3"
    with pytest.raises(CapacityError, match=message):
        world.frame(4)
    with pytest.raises(CapacityError, match=message):
        world.frame().resized(4)
    with pytest.raises(CapacityError, match="7 frames are asked for"):
        world.codec().run({"codes": np.zeros((1, 7, 5), np.int64), "position": np.array([0])})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ("cudaMalloc", CudaError.cudaErrorMemoryAllocation, "GPU's memory is full; close what"),
        ("cudaHostAlloc", CudaError.cudaErrorMemoryAllocation, "GPU's memory is full; close what"),
        ("cudaMalloc", CudaError.cudaErrorInsufficientDriver, "install or update the NVIDIA"),
        ("cudaStreamCreateWithFlags", CudaError.cudaErrorNoDevice, "no NVIDIA GPU; choose"),
        ("cudaGraphInstantiate", CudaError.cudaErrorInvalidValue, "start the program again"),
        ("cudaStreamEndCapture", CudaError.cudaErrorInvalidValue, "start the program again"),
    ],
)
def test_a_driver_that_fails_when_the_bundle_is_opened(
    world: World, call: str, error: CudaError, message: str
) -> None:
    world.gpu.fails[call] = error
    with pytest.raises(BackendError) as raised:
        world.frame()
    assert str(raised.value).startswith(f"{call} failed: the text of {error.name} ({error.name}); ")
    assert message in str(raised.value)


def test_an_old_cuda_python_without_a_driver(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: object) -> None:
        raise RuntimeError("Failed to dlopen libcuda.so.1")

    monkeypatch.setattr(world.gpu, "cudaStreamCreateWithFlags", raises)
    with pytest.raises(BackendError, match=r"Failed to dlopen libcuda.so.1; install or update"):
        world.frame()


@pytest.mark.parametrize("call", ["cudaGraphLaunch", "cudaEventSynchronize", "cudaEventRecord"])
def test_a_driver_that_fails_while_it_speaks(world: World, call: str) -> None:
    frame, speaker = world.frame(), Speaker(1)
    frame.begin()
    frame.launch(speaker.inputs(2))()
    world.gpu.fails[call] = CudaError.cudaErrorIllegalAddress
    with pytest.raises(
        BackendError, match=rf"{call} failed: .*cudaErrorIllegalAddress\); the GPU's"
    ):
        frame.launch(speaker.inputs(1))()


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("set_input_shape", r"\w+ of shape \(.*\)"),
        ("set_tensor_address", r"an address for \w+"),
        ("execute_async_v3", "a launch"),
    ],
)
def test_a_library_that_refuses(world: World, method: str, what: str) -> None:
    world.library.refuses.add(method)
    message = rf"talker_step.plan: tensorrt refused {what}: {method} is refused; build the engines"
    with pytest.raises(BackendError, match=message):
        world.frame()


def test_a_capture_that_breaks_off_leaves_the_stream_usable(world: World) -> None:
    cuda = Cuda()
    stream = cuda.stream()

    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cuda.capture(stream, work)
    assert not world.gpu.is_capturing(stream)
    assert world.gpu.held[3] == 0


def test_no_room_for_a_context(world: World) -> None:
    world.library.refuses.add("create_execution_context")
    with pytest.raises(BackendError, match="no room on the GPU: out of memory; close what else"):
        world.frame()


def test_a_plan_that_is_none(world: World) -> None:
    path = world.folder / "talker_step.plan"
    path.write_bytes(b"no plan")
    message = (
        r"talker_step.plan cannot be loaded by tensorrt 10.16.1: magic tag does not match; build"
    )
    with pytest.raises(BundleError, match=message):
        world.loader.load(path, toy.TALKER, AXES)


def test_a_plan_of_other_tensors(world: World) -> None:
    path = world.folder / "predictor_step.plan"
    world.engine(toy.PREDICTOR)
    with pytest.raises(BundleError, match="the manifest differ in allow_end, feedback, length, "):
        world.loader.load(path, toy.TALKER, AXES)
    with pytest.raises(BundleError, match="the manifest differ in code; build the engines again"):
        world.engine(toy.PREDICTOR, dtypes={"code": "int32"})


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [
        ({"tensorrt"}, "tensorrt"),
        ({"tensorrt_rtx"}, "tensorrt-rtx"),
        ({"tensorrt", "tensorrt_rtx"}, "tensorrt"),
        (set(), "tensorrt"),
    ],
)
@pytest.mark.parametrize("flavour", ["trt", "compat"])
def test_auto_is_the_library_that_is_installed(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], chosen: str, flavour: str
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: name if name in installed else None)
    opened: list[str] = []
    monkeypatch.setattr(tensorrt, "TensorRTBackend", lambda name, **_: opened.append(name))
    backends.open_backend(flavour=flavour)
    assert opened == [chosen]


@pytest.mark.parametrize("flavour", ["trt", "compat"])
def test_a_backend_that_does_not_run_the_bundle(flavour: str) -> None:
    message = f"the bundle's flavour is {flavour}, ort-cpu runs .*; use the backend tensorrt"
    with pytest.raises(BackendError, match=message):
        backends.open_backend("ort-cpu", flavour=flavour)
    with pytest.raises(BackendError, match="flavour is ort, tensorrt runs trt and compat; use the"):
        backends.open_backend("tensorrt", flavour="ort")


@pytest.mark.parametrize(
    ("name", "install"),
    [("tensorrt", "qwen3-tts-edge[tensorrt]"), ("tensorrt_rtx", "qwen3-tts-edge[rtx]")],
)
def test_the_library_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, name: str, install: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        BackendError, match=f"{name} cannot be imported .* run: pip install"
    ) as raised:
        Library(name)
    assert f"pip install '{install}'" in str(raised.value)


def test_no_gpu_is_found_before_tensorrt_is_asked(world: World) -> None:
    world.gpu.fails["cudaGetDevice"] = CudaError.cudaErrorNoDevice
    world.library.Runtime = lambda _: pytest.fail("it may crash")
    with pytest.raises(BackendError, match=r"cudaGetDevice failed: .* no NVIDIA GPU; choose"):
        tensorrt.TensorRTBackend("tensorrt")


def test_cuda_python_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(
        BackendError, match=r"cuda-python is not installed .* pip install cuda-python"
    ):
        Cuda()


def test_the_fake_gpu_takes_what_cuda_takes() -> None:
    """Names and order of arguments, and the numbers, of the installed cuda-python."""
    real = pytest.importorskip("cuda.bindings.runtime")
    for name, function in inspect.getmembers(FakeGpu, inspect.isfunction):
        if name.startswith("cuda"):
            parameters = list(inspect.signature(function).parameters)[1:]
            assert parameters == list(inspect.signature(getattr(real, name)).parameters), name
    flags = ("cudaStreamNonBlocking", "cudaEventDisableTiming", "cudaEventBlockingSync")
    for name in (*flags, "cudaHostAllocDefault"):
        assert getattr(FakeGpu, name) == getattr(real, name)
    for kind in ("cudaError_t", "cudaMemcpyKind", "cudaStreamCaptureMode"):
        for member in getattr(FakeGpu, kind):
            same = getattr(getattr(real, kind), member.name)
            assert (same.name, same.value) == (member.name, member.value)


def test_the_fake_library_has_what_tensorrt_has() -> None:
    """Names, of the installed TensorRT-RTX; TensorRT has the same interface."""
    real = pytest.importorskip("tensorrt_rtx")
    pairs = (
        (fake_tensorrt.Engine, real.ICudaEngine),
        (fake_tensorrt.Context, real.IExecutionContext),
    )
    for fake, of in pairs:
        public = {name for name in vars(fake) if not name.startswith("_")}
        assert public <= set(dir(of))
    assert {"get_aliased_input_tensor", "num_io_tensors"} <= set(dir(real.ICudaEngine))
    assert "deserialize_cuda_engine" in dir(real.Runtime)
    assert "dynamic_shapes_kernel_specialization_strategy" in dir(real.IRuntimeConfig)
    assert real.DynamicShapesKernelSpecializationStrategy.EAGER
    assert set(fake_tensorrt._NAMES.values()) <= set(real.DataType.__members__)
    assert real.ILogger.INTERNAL_ERROR <= real.ILogger.ERROR < real.ILogger.WARNING
