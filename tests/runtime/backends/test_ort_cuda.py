"""The CUDA backend over a GPU that is not there: same codes, right launches, loud refusals."""

import gc
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fake_cuda import CUDA, FakeCuda, disguised, fake_cuda
from qwen3_tts_edge import Audio, Request, Synthesizer
from qwen3_tts_edge.backends import FrameGraph, State, open_backend
from qwen3_tts_edge.backends.ort import install as ort_install
from qwen3_tts_edge.bundle.graph_spec import GraphSpec, ReadsSpec, StateSpec, TensorSpec
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, FRAME, Manifest
from qwen3_tts_edge.errors import BackendError, BundleError
from slots_by_hand import (
    Inputs,
    Slots,
    Speech,
    company,
    random_request,
)

TEXT = "Good morning, your timer is set."
ALONE, TOGETHER = (3, 4), (5, 6)


def spoken(tts: Synthesizer) -> list[Audio]:
    """Two utterances, and two in a batch."""
    alone = [tts.speak(TEXT, seed=seed, max_seconds=1) for seed in ALONE]
    return alone + tts.speak_batch([Request(TEXT, seed=seed, max_seconds=1) for seed in TOGETHER])


@pytest.fixture(scope="module")
def on_the_cpu(voice_bundle: Path) -> list[Audio]:
    return spoken(Synthesizer.open(voice_bundle, backend="ort-cpu", verify=False, threads=1))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    with fake_cuda(monkeypatch) as module:
        yield module


@pytest.fixture
def cuda_bundle(voice_bundle: Path, tmp_path: Path) -> Path:
    return disguised(voice_bundle, tmp_path / "bundle", flavour="cuda")


def same(some: list[Audio], others: list[Audio]) -> bool:
    return all(
        np.array_equal(one.codes, other.codes) and np.array_equal(one.samples, other.samples)
        for one, other in zip(some, others, strict=True)
    )


@pytest.mark.parametrize("in_place", [True, False])
def test_it_says_what_the_cpu_says(
    voice_bundle: Path, tmp_path: Path, on_the_cpu: list[Audio], gpu: FakeCuda, *, in_place: bool
) -> None:
    bundle = disguised(voice_bundle, tmp_path / "bundle", flavour="cuda", in_place=in_place)
    tts = Synthesizer.open(bundle, verify=False)
    assert tts.backend == "ort-cuda"
    assert same(spoken(tts), on_the_cpu)
    assert [name for name, _ in gpu.sessions] == [f"{FRAME}.onnx", f"{CODEC_DECODER}.onnx"]
    assert [settings["enable_cuda_graph"] for _, settings in gpu.sessions] == ["1", "1"]


def test_two_buffers_take_turns_on_the_cpu_as_well(
    voice_bundle: Path, tmp_path: Path, on_the_cpu: list[Audio]
) -> None:
    bundle = disguised(voice_bundle, tmp_path / "bundle", flavour="ort", in_place=False)
    assert same(spoken(Synthesizer.open(bundle, verify=False, threads=1)), on_the_cpu)


def frame_launches(gpu: FakeCuda) -> list[tuple[int | None, str]]:
    return [(number, what) for name, number, what in gpu.launches if name == f"{FRAME}.onnx"]


def test_a_frame_is_captured_once(cuda_bundle: Path, gpu: FakeCuda) -> None:
    tts = Synthesizer.open(cuda_bundle, verify=False)
    first = tts.speak(TEXT, seed=3, max_seconds=1, text_layout="streamed")
    prompt, captured, *replayed = frame_launches(gpu)
    number = captured[0]
    assert prompt == (-1, "launched")
    assert captured == (number, "captured")
    assert set(replayed) == {(number, "replayed")}
    # A capture is followed by one replay, from the state that was put back.
    assert len(replayed) >= len(first.codes) - 1

    gpu.launches.clear()
    allocated = len(gpu.allocations)
    again = tts.speak(TEXT, seed=3, max_seconds=1, text_layout="streamed")
    assert np.array_equal(again.codes, first.codes)
    # What the prompt begins with is known, and its last row is one like others.
    assert set(frame_launches(gpu)) == {(number, "replayed")}
    rows = [shape for shape in gpu.allocations[allocated:] if len(shape) == 3 and shape[1] == 1]
    assert (1, 1, tts.manifest.hidden_size) not in rows


def test_a_frame_allocates_nothing(cuda_bundle: Path, gpu: FakeCuda) -> None:
    tts = Synthesizer.open(cuda_bundle, verify=False)
    allocated = [
        len(gpu.allocations) for _ in tts.stream(TEXT, seed=3, max_seconds=1, chunk_frames=(1,))
    ]
    assert len(allocated) > 4
    assert len(set(allocated[2:])) == 1


def test_each_number_of_slots_is_a_graph_of_its_own(cuda_bundle: Path, gpu: FakeCuda) -> None:
    """They are given back with the state that they were captured for."""
    tts = Synthesizer.open(cuda_bundle, verify=False)
    for slots in (1, 2, 3, 3):
        tts.speak_batch([Request(TEXT, seed=seed, max_seconds=0.4) for seed in range(slots)])
    captured = [number for number, what in frame_launches(gpu) if what == "captured"]
    assert len(set(captured)) == len(captured) == 3
    assert gpu.released == []
    del tts
    gc.collect()
    assert set(captured) <= set(gpu.released)


def opened(bundle: Path, backend: str) -> FrameGraph:
    manifest = Manifest.load(bundle)
    opener = open_backend(backend, flavour=manifest.flavour, threads=1)
    return opener.open_frame(bundle, manifest.graphs, capacity=48)


def requests(bundle: Path) -> list[Inputs]:
    manifest = Manifest.load(bundle)
    return [random_request(manifest, seed, rows) for seed, rows in enumerate((7, 1, 5, 3, 9))]


@pytest.fixture(scope="module")
def company_on_the_cpu(voice_bundle: Path) -> list[np.ndarray]:
    return company(opened(voice_bundle, "ort-cpu"), requests(voice_bundle))


@pytest.mark.parametrize("in_place", [True, False])
def test_company_changes_nothing(
    voice_bundle: Path,
    tmp_path: Path,
    company_on_the_cpu: list[np.ndarray],
    gpu: FakeCuda,
    *,
    in_place: bool,
) -> None:
    """Joins, rests, leaves and snapshots, and all of it again, captured by now."""
    bundle = disguised(voice_bundle, tmp_path / "bundle", flavour="cuda", in_place=in_place)
    frame = opened(bundle, "ort-cuda")
    for _ in range(2):
        found = company(frame, requests(bundle))
        assert all(map(np.array_equal, found, company_on_the_cpu))


def test_company_in_two_threads(
    cuda_bundle: Path, company_on_the_cpu: list[np.ndarray], gpu: FakeCuda
) -> None:
    """One after the other: each captures for itself, in a state that goes with it."""
    frame, captured = opened(cuda_bundle, "ort-cuda"), []
    for _ in range(2):
        found: list[np.ndarray] = []
        thread = threading.Thread(
            target=lambda found=found: found.extend(company(frame, requests(cuda_bundle)))
        )
        thread.start()
        thread.join()
        assert len(found) == len(company_on_the_cpu)
        assert all(map(np.array_equal, found, company_on_the_cpu))
        captured.append([number for number, what in frame_launches(gpu) if what == "captured"])
        gpu.launches.clear()
    assert len(captured[0]) == len(captured[1]) > 3
    assert not set(captured[0]) & set(captured[1])


def test_a_state_that_another_thread_goes_on_with(
    cuda_bundle: Path, company_on_the_cpu: list[np.ndarray], gpu: FakeCuda
) -> None:
    """Its first frames are those that the first of the company speaks by itself."""
    house = Slots(opened(cuda_bundle, "ort-cuda"), 2)
    speech = Speech(requests(cuda_bundle)[0])
    house.join(speech)
    house.step()
    thread = threading.Thread(target=house.step)
    thread.start()
    thread.join()
    house.read()
    assert np.array_equal(speech.codes, company_on_the_cpu[0][:3])
    numbers = {number for number, what in frame_launches(gpu) if what != "launched"}
    whats = [what for _, what in frame_launches(gpu)]
    assert len(numbers) == 1
    assert whats.count("captured") == 2


def test_one_row_alone_is_captured_in_each_slot_and_a_prompt_in_none(
    cuda_bundle: Path, gpu: FakeCuda
) -> None:
    manifest = Manifest.load(cuda_bundle)
    house = Slots(opened(cuda_bundle, "ort-cuda"), 3)
    for slot, prompt in enumerate((4, 1, 1)):
        house.join(Speech(random_request(manifest, slot, prompt)))
        house.step()
    whats = [what for _, what in frame_launches(gpu)]
    each = ["captured", "replayed"]  # which is put back, and launched for good
    assert whats == ["launched", *each, *each, *each, *each, *each]


def test_a_snapshot_copies_what_was_read_and_no_more(cuda_bundle: Path, gpu: FakeCuda) -> None:
    manifest = Manifest.load(cuda_bundle)
    house, speech = Slots(opened(cuda_bundle, "ort-cuda"), 2), Speech(lambda _: {})
    speech.inputs = random_request(manifest, 0, 9)
    kept = house.snapshot(speech, 8)
    copies = list(gpu.copies)
    states = manifest.graphs[FRAME].states
    sizes = {"batch": 1, "capacity": 8}
    assert sum(copies) == sum(state.past.nbytes(sizes) for state in states)
    gpu.copies.clear()
    house.state.view(1).copy(kept, 8)
    assert gpu.copies == copies


def test_addresses_that_nobody_holds(cuda_bundle: Path, gpu: FakeCuda) -> None:
    state = opened(cuda_bundle, "ort-cuda").state(1)
    for owner in state.shared.owners:  # type: ignore[attr-defined]
        del owner
    state.shared.owners.clear()  # type: ignore[attr-defined]
    gc.collect()
    message = r"the GPU refused to copy \(CUDA error 700\); start the program again"
    with pytest.raises(BackendError, match=message):
        state.clear()


def test_another_thread_captures_for_itself(
    cuda_bundle: Path, gpu: FakeCuda, on_the_cpu: list[Audio]
) -> None:
    tts = Synthesizer.open(cuda_bundle, verify=False)
    found = []
    for seed in ALONE:
        speak = threading.Thread(
            target=lambda seed=seed: found.append(tts.speak(TEXT, seed=seed, max_seconds=1))
        )
        speak.start()
        speak.join()
    assert same(found, on_the_cpu[: len(ALONE)])
    assert [what for _, what in frame_launches(gpu)].count("captured") == 2


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize(("backend", "flavour"), [("ort-cpu", "ort"), ("ort-cuda", "cuda")])
def test_states_of_bfloat16(
    tmp_path: Path, request: pytest.FixtureRequest, backend: str, flavour: str, *, in_place: bool
) -> None:
    """A running sum that is carried in bfloat16, a type numpy lacks, and set back."""
    if backend == "ort-cuda":
        request.getfixturevalue("gpu")
    onnx = pytest.importorskip("onnx")
    half, full = onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [
        node("Cast", ["past"], ["before"], to=full),
        node("Add", ["before", "number"], ["sum"]),
        node("Cast", ["sum"], ["present"], to=half),
    ]
    sides = [
        [value("number", full, ["batch"]), value("past", half, ["batch"])],
        [value("sum", full, ["batch"]), value("present", half, ["batch"])],
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "sum", *sides),
        opset_imports=[onnx.helper.make_opsetid("", 23)],
        ir_version=10,
    )
    onnx.save(model, tmp_path / "sum.onnx")
    number, total, past = (
        TensorSpec(name=name, dtype=dtype, shape=("batch",))
        for name, dtype in (("number", "float32"), ("sum", "float32"), ("past", "bfloat16"))
    )
    spec = GraphSpec(
        file="sum.onnx",
        inputs=(number,),
        outputs=(total,),
        states=(StateSpec(past=past, present="present"),),
        in_place=in_place,
        reads=ReadsSpec(0, 0, 0),
    )

    graph = open_backend(backend, flavour=flavour).open(tmp_path, spec)
    state, other = graph.state(2), graph.state(1)

    def added(state: State, *numbers: float) -> list[float]:
        return graph.run({"number": np.array(numbers, np.float32)}, state)["sum"].tolist()

    assert [added(state, n, -n) for n in (1, 2, 3)] == [[1, -1], [3, -3], [6, -6]]
    assert added(other, 8) == [8]
    assert added(state.view(1), 1) == [-5]
    assert added(state, 1, 1) == [7, -4]
    state.view(0).copy(other)
    assert added(state, 0, 0) == [8, -4]
    state.view(1).clear("past")
    assert added(state, 1, 1) == [9, 1]
    state.clear()
    assert added(state, 1, 2) == [1, 2]
    other.fill(state.view(1).arrays())
    assert added(other, 5) == [7]
    state.view(0).fill(other.arrays())
    assert added(state, 1, 1) == [8, 3]


def test_a_node_that_would_run_on_the_cpu(cuda_bundle: Path, gpu: FakeCuda) -> None:
    gpu.on_the_cpu = [("Shape", "node_Shape_1"), ("NonZero", "seen"), ("Loop", "l"), ("If", "i")]
    message = (
        r"frame\.onnx has 4 nodes that CUDA does not run: Shape node_Shape_1, NonZero seen, "
        r"Loop l, If i \(.*\); export the checkpoint with --flavour cuda"
    )
    with pytest.raises(BackendError, match=message):
        Synthesizer.open(cuda_bundle, verify=False)


def test_a_provider_that_does_not_start(cuda_bundle: Path, gpu: FakeCuda) -> None:
    gpu.starts = False
    with pytest.raises(BackendError, match=f"asked for {CUDA}, ONNX Runtime runs CPU"):
        Synthesizer.open(cuda_bundle, verify=False)


def test_a_damaged_frame_is_the_bundles_fault(
    cuda_bundle: Path, tmp_path: Path, gpu: FakeCuda
) -> None:
    (tmp_path / f"{FRAME}.onnx").write_bytes(b"no graph")
    spec = Manifest.load(cuda_bundle).graphs[FRAME]
    backend = open_backend("ort-cuda", flavour="cuda")
    with pytest.raises(BundleError, match=r"frame\.onnx cannot be loaded by ONNX Runtime 1\.31\.1"):
        backend.open(tmp_path, spec)


def test_what_cannot_be_captured(
    cuda_bundle: Path, gpu: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fake_cuda import Session

    launch = Session.run_with_iobinding

    def fails(self: Session, binding: object, options: object = None) -> None:
        launch(self, binding, options)
        if gpu.launches[-1][2] == "captured":
            raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(Session, "run_with_iobinding", fails)
    tts = Synthesizer.open(cuda_bundle, verify=False)
    message = r"cannot capture frame\.onnx as a CUDA graph: operation not permitted"
    with pytest.raises(BackendError, match=message):
        tts.speak(TEXT, max_seconds=1)


@pytest.mark.parametrize(
    ("flavour", "backend", "message"),
    [
        ("ort", "ort-cuda", "flavour is ort, ort-cuda runs cuda; use the backend ort-cpu, or exp"),
        ("future", "auto", "no backend of this version runs bundles of the flavour 'future'"),
    ],
)
def test_a_bundle_of_another_flavour(
    voice_bundle: Path, tmp_path: Path, flavour: str, backend: str, message: str
) -> None:
    bundle = disguised(voice_bundle, tmp_path / "bundle", flavour=flavour)
    with pytest.raises(BackendError, match=message):
        Synthesizer.open(bundle, backend=backend, verify=False)


def lacking(monkeypatch: pytest.MonkeyPatch, *missing: str, packages: dict[str, str]) -> None:
    module = FakeCuda()
    if "onnxruntime-gpu" not in packages or len(packages) > 1:
        monkeypatch.setattr(FakeCuda, "get_available_providers", lambda _: ["CPU"])
        monkeypatch.setattr(FakeCuda, "cuda_version", "")
    if packages:
        monkeypatch.setattr(ort_install, "onnxruntime", lambda: module)
    else:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(ort_install, "packages", lambda: packages)
    monkeypatch.setattr(ort_install, "_loads", lambda name: name not in missing)


CPU, GPU = {"onnxruntime": "1.32.0"}, {"onnxruntime-gpu": "1.31.1"}


@pytest.mark.parametrize(
    ("packages", "missing", "message"),
    [
        ({}, (), 'ONNX Runtime is not installed; run: pip install "qwen3-tts-edge[gpu]"'),
        (
            CPU,
            (),
            "onnxruntime 1.32.0 is for the CPU alone; run: pip uninstall -y onnxruntime && "
            'pip install "qwen3-tts-edge[gpu]"',
        ),
        (
            CPU | GPU,
            (),
            "onnxruntime 1.32.0 and onnxruntime-gpu 1.31.1 offers no CUDA: the module onnxruntime "
            "can be of one package only; run: pip uninstall -y onnxruntime onnxruntime-gpu && "
            'pip install "qwen3-tts-edge[gpu]"',
        ),
        (
            GPU,
            ("libcuda.so.1", "libcudnn.so.9"),
            "no NVIDIA driver: libcuda.so.1 cannot be loaded; install the driver from "
            "https://www.nvidia.com/drivers; start a container with --gpus all",
        ),
        (
            GPU,
            ("libcudnn.so.9", "libcublasLt.so.13"),
            "ONNX Runtime's CUDA provider needs libcublasLt.so.13 (of nvidia-cublas), "
            "libcudnn.so.9 (of nvidia-cudnn-cu13), which cannot be loaded; run: pip install "
            '"qwen3-tts-edge[gpu]"',
        ),
    ],
)
def test_what_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
    packages: dict[str, str],
    missing: tuple[str, ...],
    message: str,
) -> None:
    lacking(monkeypatch, *missing, packages=packages)
    monkeypatch.setattr(ort_install.sys, "platform", "linux")
    with pytest.raises(BackendError) as caught:
        open_backend("ort-cuda", flavour="cuda")
    assert str(caught.value) == message


def test_a_jetson(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lacking(monkeypatch, packages=CPU)
    (tmp_path / "nv_tegra_release").write_text("# R39 (release)")
    monkeypatch.setattr(ort_install, "TEGRA", tmp_path / "nv_tegra_release")
    with pytest.raises(BackendError, match=r"this is a Jetson, .* use the backend tensorrt"):
        open_backend("ort-cuda", flavour="cuda")


def test_libraries_of_cuda_12() -> None:
    assert ort_install._libraries("12.8") == {
        "libcudart.so.12": "nvidia-cuda-runtime-cu12",
        "libcublasLt.so.12": "nvidia-cublas-cu12",
        "libcublas.so.12": "nvidia-cublas-cu12",
        "libcurand.so.10": "nvidia-curand-cu12",
        "libcudnn.so.9": "nvidia-cudnn-cu12",
    }
