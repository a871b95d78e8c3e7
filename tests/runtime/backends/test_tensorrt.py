"""The TensorRT backend over a fake GPU: everything but what the driver and TensorRT do.

Two runs of each: work is done when somebody waits for it, and as soon as it is launched.
"""

import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
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
from slots_by_hand import Slots, Speech, alone, assert_company_changes_nothing, placed

SIZES = {"batch": 4, "rows": 4, "frames": 6}
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

    def frame(self) -> TensorRTFrame:
        return TensorRTFrame(Cuda(), self.engine(toy.TALKER), self.engine(toy.PREDICTOR))

    def codec(self) -> TensorRTGraph:
        return TensorRTGraph(Cuda(), self.engine(toy.CODEC))


@pytest.fixture(params=[False, True], ids=["late", "eager"])
def world(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[World]:
    gpu = FakeGpu(eager=request.param)
    library = FakeTensorRT("tensorrt", gpu, toy.COMPUTES)
    fake_gpu.install(monkeypatch, gpu)
    fake_tensorrt.install(monkeypatch, library)
    return World(gpu, library, tmp_path)


def request(seed: int, prompt: int) -> Callable[[int], dict[str, np.ndarray]]:
    """Inputs of a request's frames, but for where its rows go."""

    def inputs(frame: int) -> dict[str, np.ndarray]:
        random = np.random.default_rng([seed, frame])
        rows = prompt if frame == 0 else 1
        return {
            "rows": random.random((1, rows, toy.HIDDEN), np.float32),
            "draws": random.random((1, toy.CODEBOOKS), np.float32),
            "allow_end": np.array([random.random() > 0.5]),
            "temperature": random.random((1, 2), np.float32),
            "top_k": random.integers(1, 9, (1, 2)),
            "top_p": random.random((1, 2), np.float32),
            "repetition_penalty": random.random(1, np.float32),
        }

    return inputs


def expected(inputs: Callable[[int], dict[str, np.ndarray]], frames: int) -> np.ndarray:
    """The codes of a request, from plain arrays."""
    speech, reference = Speech(inputs), toy.Reference()
    return np.array([reference.frame(speech.take()) for _ in range(frames)])


PROMPTS = [(1,), (4,), (5,), (13,), (9, 1), (2, 11), (12, 5, 9)]


@pytest.fixture(params=[True, False], ids=["cache in place", "two caches"])
def both(request: pytest.FixtureRequest, world: World) -> World:
    world.aliased = request.param
    return world


@pytest.mark.parametrize("prompts", PROMPTS)
def test_frames_are_those_of_plain_arrays(both: World, prompts: tuple[int, ...]) -> None:
    """Prompts of any length, the next utterance after one, and one that was cut short."""
    house, utterances = Slots(both.frame(), len(prompts)), []
    for utterance in range(3):
        speeches = [Speech(request(utterance, prompt)) for prompt in prompts]
        for speech in speeches:
            house.join(speech)
        for _ in range(5):
            house.step()
        for speech in speeches:
            house.leave(speech)  # with codes that were not read
        utterances += speeches
    house.read()
    for speech in utterances:
        assert np.array_equal(speech.codes, expected(speech.inputs, 6))


@pytest.mark.parametrize("prompts", [(3, 3, 3, 3, 3), (7, 1, 2, 1, 11), (5, 4, 9, 6, 8)])
@pytest.mark.parametrize("slots", [2, 3])
def test_company_changes_nothing(both: World, prompts: tuple[int, ...], slots: int) -> None:
    frame = both.frame()
    requests = [request(seed, prompt) for seed, prompt in enumerate(prompts)]
    assert_company_changes_nothing(frame, requests, slots=slots + 1)
    assert np.array_equal(alone(frame, requests[0], 7), expected(requests[0], 7))


def test_a_state_of_its_own(both: World) -> None:
    """Two states of one frame take turns as they like."""
    frame = both.frame()
    speeches = [Speech(request(seed, 3)) for seed in range(3)]
    houses = [Slots(frame, slots) for slots in (1, 2, 1)]
    for house, speech in zip(houses, speeches, strict=True):
        house.join(speech)
        house.read()
    for at in (0, 1, 1, 2, 0, 2, 2, 1, 0):
        houses[at].read()
        houses[at].step()
    for house, speech in zip(houses, speeches, strict=True):
        house.read()
        assert np.array_equal(speech.codes, expected(speech.inputs, 4))


def test_a_frame_is_one_launch_of_a_graph(world: World) -> None:
    house = Slots(world.frame(), 2)
    for seed in range(2):
        house.join(Speech(request(seed, 3)))
    house.step()
    house.step()
    house.read()
    world.gpu.order.clear()
    for _ in range(5):
        house.step()
        house.read()
    calls = ["cudaEventSynchronize", "cudaGraphLaunch", "cudaEventRecord", "cudaEventSynchronize"]
    assert world.gpu.order == calls * 5


def test_each_number_of_slots_is_captured_when_it_is_first_met(world: World) -> None:
    """Twice, for each set of buffers, by a launch that counts."""
    house, everybody = Slots(world.frame(), 3), [Speech(request(seed, 3)) for seed in range(3)]
    captures = []
    for speech in everybody:
        house.join(speech)
        for _ in range(4):
            house.step()
            captures.append(world.gpu.calls["cudaGraphInstantiate"])
    house.leave(everybody[0])
    for _ in range(4):
        house.step()
    assert captures == [1, 2, 2, 2, 3, 4, 4, 4, 5, 6, 6, 6]
    assert world.gpu.calls["cudaGraphInstantiate"] == 6
    captured = Counter(name for name, _, captured in world.library.launches if captured)
    assert captured == {"talker_step": 6, "predictor_step": 6 * toy.CODEBOOKS}


def test_nothing_is_allocated_or_captured_once_it_is_known(world: World) -> None:
    frame, codec = world.frame(), world.codec()
    house, samples = Slots(frame, 2), codec.state()
    kept = frame.state(1, positions=4)

    def speak() -> None:
        for seed in range(2):
            speech = Speech(request(seed, 7))
            house.join(speech)
            for _ in range(3):
                house.step()
            kept.copy(house.state.view(seed), 4)
        house.leave(house.speaking[0])
        house.step()
        house.leave(house.speaking[0])
        codec.run({"codes": speech.codes[0][None, None], "position": np.array([0])}, samples)

    speak()
    before = world.gpu.calls.copy()
    speak()
    speak()
    used = set(world.gpu.calls - before)
    assert used == {
        "cudaEventRecord",
        "cudaEventSynchronize",
        "cudaGraphLaunch",
        "cudaMemcpy2DAsync",
        "cudaMemcpyAsync",
        "cudaMemsetAsync",
    }


def test_a_cache_that_takes_turns_is_copied_for_who_joined_alone(world: World) -> None:
    """Once, and only if he does not stand where the others do."""
    world.aliased = False
    house = Slots(world.frame(), 2)
    cache = 4 * toy.HIDDEN * toy.CAPACITY
    copies = []
    real = world.gpu.cudaMemcpyAsync
    world.gpu.cudaMemcpyAsync = lambda *given: copies.append(given[2]) or real(*given)
    house.join(Speech(request(0, 3)))
    for _ in range(4):
        house.step()
    assert cache not in copies
    house.join(Speech(request(1, 3)))
    for _ in range(4):
        house.step()
    assert copies.count(cache) <= 1


def test_codes_are_the_callers_to_keep(world: World) -> None:
    house, speech = Slots(world.frame(), 1), Speech(request(0, 2))
    house.join(speech)
    house.read()
    kept = speech.codes[0].copy()
    for _ in range(3):
        house.step()
    assert np.array_equal(speech.codes[0], kept)


def test_codes_outlive_their_state(world: World) -> None:
    frame, speech = world.frame(), Speech(request(0, 2))
    state = frame.state(1)
    waits = [frame.launch(speech.take(), state) for _ in range(2)]
    del state, frame
    gc.collect()
    assert np.array_equal([wait()[0] for wait in waits], expected(speech.inputs, 2))


@pytest.mark.parametrize("prompt", [1, 2, 9])
def test_codes_that_nobody_read_in_time(world: World, prompt: int) -> None:
    frame = world.frame()
    state, each = frame.state(1), request(0, prompt)
    first = [frame.launch({**each(0), **placed(prompt, 0)}, state) for _ in range(2)]
    late = first[0]
    frame.launch({**each(0), **placed(prompt, 0)}, state)
    assert first[1]().shape == (1, toy.CODEBOOKS)
    with pytest.raises(AssertionError, match="not read in time"):
        late()


def test_all_of_it_is_given_back(world: World) -> None:
    frame, codec = world.frame(), world.codec()
    house, samples = Slots(frame, 3), codec.state(2)
    kept = house.snapshot(Speech(request(0, 2)), 2)
    house.join(Speech(request(0, 2)))
    house.step()
    assert all(world.gpu.held)
    del house
    gc.collect()
    assert world.gpu.held[3] == 0, "graphs are of a state"
    del frame, codec
    gc.collect()
    assert all(world.gpu.held[:2]), "what a state lies in, and the stream it is used on"
    del kept, samples
    gc.collect()
    assert world.gpu.held == (0, 0, 0, 0)


def test_the_codec_carries_its_state_in_any_chunks(world: World) -> None:
    codes = np.random.default_rng(0).integers(0, 17, (1, 13, toy.CODEBOOKS))
    zero, codec = np.zeros((1, 1), np.float32), world.codec()
    for sizes in ([1] * 13, [6, 6, 1], [1, 2, 4, 6], [3, 5, 5]):
        carried = codec.state()
        for _ in range(2):
            carried.clear()
            state, start = zero, 0
            for size in sizes:
                inputs = {"codes": codes[:, start : start + size], "position": np.array([start])}
                wanted = toy.decode(inputs | {"past.sum": state})
                found = codec.run(inputs, carried)
                assert np.array_equal(found["samples"], wanted["samples"])
                state, start = wanted["present.sum"], start + size


def test_a_codec_has_a_state_for_each_stream(world: World) -> None:
    """They take turns; one goes on from a copy of another, two are of one launch."""
    codec, random = world.codec(), np.random.default_rng(0)
    states = [codec.state(), codec.state(), codec.state(2)]
    sums: list[np.ndarray] = [np.zeros((state.slots, 1), np.float32) for state in states]

    def run(at: int, slot: int | None = None) -> None:
        state, rows = states[at], slice(None)
        if slot is not None:
            state, rows = state.view(slot), slice(slot, slot + 1)
        inputs = {
            "codes": random.integers(0, 17, (state.slots, 3, toy.CODEBOOKS)),
            "position": np.zeros(state.slots, np.int64),
        }
        wanted = toy.decode(inputs | {"past.sum": sums[at][rows]})
        sums[at][rows] = wanted["present.sum"]
        assert np.array_equal(codec.run(inputs, state)["samples"], wanted["samples"])

    for at, slot in ((0, None), (1, None), (0, None), (2, None), (2, 1), (2, None), (2, 0), (2, 1)):
        run(at, slot)
    states[0].copy(states[1])
    sums[0][:] = sums[1]
    states[2].view(1).copy(states[0])
    sums[2][1] = sums[0][0]
    for at in (0, 1, 2, 2):
        run(at)
    states[1].fill(states[2].view(1).arrays())
    sums[1][:] = sums[2][1]
    states[2].fill({"past.sum": sums[2][::-1]})
    sums[2] = sums[2][::-1].copy()
    for at in (1, 2, 2):
        run(at)


def test_what_a_state_carries_as_arrays(both: World) -> None:
    """Of slots that were launched together and alone, and so take other turns."""
    frame = both.frame()
    house = Slots(frame, 3)
    for seed, prompt in enumerate((5, 2, 9)):
        house.join(Speech(request(seed, prompt)))
    house.step()
    house.read()
    carried, other = house.state.arrays(), frame.state(3)
    other.fill(carried)
    again = other.arrays()
    assert {name: array.shape[0] for name, array in carried.items()} == dict.fromkeys(again, 3)
    for name, array in carried.items():
        assert array.any(), name
        assert np.array_equal(again[name], array)
        assert np.array_equal(other.view(1, 2).arrays()[name], array[1:])


def test_the_codec_does_not_wait_for_the_next_frame(world: World) -> None:
    frame, codec, speech = world.frame(), world.codec(), Speech(request(0, 2))
    state, samples = frame.state(1), codec.state()
    first = frame.launch(speech.take(), state)
    frame.launch(speech.take(), state)
    inputs = {"codes": first()[:, None], "position": np.array([0])}
    assert codec.run(inputs, samples)["samples"].shape == (1, 4)
    talks, decodes = ({s for name, s, _ in world.library.launches if name == of} for of in _BOTH)
    assert len(talks) == len(decodes) == 1
    assert talks != decodes, "a stream of its own"
    assert world.gpu.eager or max(world.gpu.unfinished) > 0, "the frame is still under way"


_BOTH = ("talker_step", "codec_decoder")


def test_rtx_compiles_before_it_is_captured(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for what is captured: prompts are of any length, and compiling takes a while."""
    world.library = FakeTensorRT("tensorrt_rtx", world.gpu, toy.COMPUTES)
    fake_tensorrt.install(monkeypatch, world.library)
    house = Slots(world.frame(), 2)
    for seed in range(2):
        house.join(Speech(request(seed, 3)))
        house.step()
    found = Counter((context.graph, context.eager) for context in world.library.contexts)
    assert found == {
        ("talker_step", True): 2,
        ("talker_step", False): 1,
        ("predictor_step", True): 2,
    }


def test_a_library_that_knows_no_aliases(world: World) -> None:
    """Before 10.15: the cache has two buffers."""
    world.aliased, world.library.knows_aliases = False, False
    assert np.array_equal(alone(world.frame(), request(0, 3), 4), expected(request(0, 3), 4))


def test_more_than_the_engines_were_built_for(world: World) -> None:
    assert (world.frame().slots, world.frame().capacity) == (4, toy.CAPACITY)
    message = "5 batch are asked for, the engines were built for at most 4"
    for graph in (world.frame(), world.codec()):
        with pytest.raises(CapacityError, match=message):
            graph.state(5)
    with pytest.raises(CapacityError, match="33 capacity are asked for"):
        world.frame().state(1, positions=toy.CAPACITY + 1)
    codec, inputs = world.codec(), {"codes": np.zeros((1, 7, 5), np.int64)}
    with pytest.raises(CapacityError, match="7 frames are asked for"):
        codec.run({**inputs, "position": np.array([0])}, codec.state())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ("cudaMalloc", CudaError.cudaErrorMemoryAllocation, "; close what else uses"),
        ("cudaHostAlloc", CudaError.cudaErrorMemoryAllocation, "; close what else uses"),
        ("cudaMalloc", CudaError.cudaErrorInsufficientDriver, "install or update the NVIDIA"),
        ("cudaStreamCreateWithFlags", CudaError.cudaErrorNoDevice, "; choose another backend"),
        ("cudaGraphInstantiate", CudaError.cudaErrorInvalidValue, "start the program again"),
        ("cudaStreamEndCapture", CudaError.cudaErrorInvalidValue, "start the program again"),
    ],
)
def test_a_driver_that_fails_when_the_bundle_is_opened(
    world: World, call: str, error: CudaError, message: str
) -> None:
    world.gpu.fails[call] = error
    with pytest.raises(BackendError) as raised:
        alone(world.frame(), request(0, 2), 2)
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
    house = Slots(world.frame(), 1)
    house.join(Speech(request(0, 2)))
    house.step()
    house.step()
    world.gpu.fails[call] = CudaError.cudaErrorIllegalAddress
    with pytest.raises(
        BackendError, match=rf"{call} failed: .*cudaErrorIllegalAddress\); start the program again"
    ):
        house.step()


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
        alone(world.frame(), request(0, 2), 2)


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
    with pytest.raises(BundleError, match=r"differ in allow_end, feedback, past\.codes, "):
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
    assert f'pip install "{install}"' in str(raised.value)


def test_no_gpu_is_found_before_tensorrt_is_asked(world: World) -> None:
    world.gpu.fails["cudaGetDevice"] = CudaError.cudaErrorNoDevice
    world.library.Runtime = lambda _: pytest.fail("it may crash")
    with pytest.raises(BackendError, match=r"cudaGetDevice failed: ") as raised:
        tensorrt.TensorRTBackend("tensorrt")
    assert raised.value.remedy == "choose another backend, for this machine has no NVIDIA GPU"


def test_cuda_python_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(
        BackendError, match=r"cuda-python is not installed .* pip install cuda-python"
    ):
        Cuda()
