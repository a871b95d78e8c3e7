"""The doctor finds what is there, says what is missing, and what brings it."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from click.testing import CliRunner, Result

from fake_cuda import FakeCuda, fake_cuda
from qwen3_tts_edge.backends import FLAVOURS, ON_THE_CPU
from qwen3_tts_edge.backends.ort import install as ort_install
from qwen3_tts_edge.bundle.engines import EngineKey, Engines
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.cli import commands
from qwen3_tts_edge.errors import BackendError
from qwen3_tts_edge.machine import bench as benchmark
from qwen3_tts_edge.machine import doctor
from qwen3_tts_edge.machine import hardware as machine
from qwen3_tts_edge.machine.doctor import Check, Examination, examine
from qwen3_tts_edge.machine.hardware import Gpu, cpu_can, cpu_name, find_gpu

_ON_THE_CPU = "with openvino and ort-cpu" if find_spec("openvino") else "with ort-cpu"

NO_DRIVER = BackendError("cudaGetDevice failed: CUDA driver version is insufficient", "update")
H100 = Gpu("NVIDIA H100", "sm_90", "driver for CUDA 13.2", 80 * 10**9)


class Cuda:
    """cuda-python on a machine with a GPU."""

    def device(self) -> SimpleNamespace:
        return SimpleNamespace(name="NVIDIA H100", capability="sm_90")

    def driver(self) -> str:
        return "13.2"

    def free_memory(self) -> int:
        return 80 * 10**9


def no_cuda() -> None:
    raise NO_DRIVER


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No GPU, no Jetson, and memory that needs no measuring."""
    monkeypatch.setattr(machine, "Cuda", no_cuda)
    monkeypatch.setattr(machine.shutil, "which", lambda *_, **__: None)
    for module in (machine, ort_install, doctor):
        monkeypatch.setattr(module, "TEGRA", tmp_path / "nv_tegra_release")
    monkeypatch.setattr(doctor, "cpu_bandwidth", lambda _: 25e9)
    monkeypatch.setattr(doctor, "gpu_bandwidth", lambda _: 3000e9)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    monkeypatch.setattr(machine, "Cuda", Cuda)
    monkeypatch.setattr(doctor, "Cuda", Cuda)
    with fake_cuda(monkeypatch) as module:
        monkeypatch.setattr(doctor, "onnxruntime", lambda: module)
        yield module


def of_flavour(bundle: Path, folder: Path, flavour: str) -> Path:
    manifest = Manifest.load(bundle)
    folder.mkdir()
    for name in manifest.files:
        (folder / name).symlink_to((bundle / name).absolute())
    msgspec.structs.replace(manifest, flavour=flavour).save(folder)
    return folder


def named(found: Examination, name: str) -> Check:
    (check,) = (check for check in found.checks if check.name == name)
    return check


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["doctor", *arguments])


def test_without_a_gpu(voice_bundle: Path) -> None:
    found = examine(voice_bundle)
    assert named(found, "GPU") == Check(
        "GPU",
        False,
        "no NVIDIA driver was found",
        "if there is a GPU, install its driver from https://www.nvidia.com/drivers",
    )
    for name in set(FLAVOURS) - set(ON_THE_CPU):
        assert named(found, name) == Check(name, False, "needs an NVIDIA GPU")
    assert named(found, "ort-cpu").ok
    assert named(found, "speaks") == Check("speaks", True, _ON_THE_CPU)
    assert found.speaks
    assert set(found.rooflines) == {"CPU"}
    assert found.rooflines["CPU"].bandwidth == 25e9


def test_a_gpu_with_everything(voice_bundle: Path, tmp_path: Path, gpu: FakeCuda) -> None:
    found = examine(of_flavour(voice_bundle, tmp_path / "bundle", "cuda"))
    text = "NVIDIA H100, sm_90, driver for CUDA 13.2, 80.0 GB of memory free"
    assert named(found, "GPU") == Check("GPU", True, text)
    assert named(found, "ORT providers").found == "CUDAExecutionProvider, CPUExecutionProvider"
    assert named(found, "ort-cuda").ok
    assert named(found, "speaks").found == "with ort-cuda"
    assert set(found.rooflines) == {"GPU"}
    assert found.rooflines["GPU"].floor_ms > 0


def test_a_gpu_without_cudnn(
    voice_bundle: Path, tmp_path: Path, gpu: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort_install, "_loads", lambda name: name != "libcudnn.so.9")
    found = examine(of_flavour(voice_bundle, tmp_path / "bundle", "cuda"))
    assert named(found, "ort-cuda") == Check(
        "ort-cuda",
        False,
        "ONNX Runtime's CUDA provider needs libcudnn.so.9 (of nvidia-cudnn-cu13), which cannot be "
        "loaded",
        'run: pip install "qwen3-tts-edge[gpu]"',
    )
    assert not found.speaks
    assert named(found, "speaks").found.startswith("ort-cuda: ONNX Runtime's CUDA provider needs")
    assert named(found, "speaks").fix == 'run: pip install "qwen3-tts-edge[gpu]"'
    assert not found.rooflines


def test_memory_that_cannot_be_measured(
    voice_bundle: Path, tmp_path: Path, gpu: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> float:
        raise BackendError("cudaMalloc failed: out of memory", "close what else uses it")

    monkeypatch.setattr(doctor, "gpu_bandwidth", full)
    found = examine(of_flavour(voice_bundle, tmp_path / "bundle", "cuda"))
    assert found.speaks
    assert not found.rooflines
    assert named(found, "floor, GPU") == Check(
        "floor, GPU", False, "cudaMalloc failed: out of memory", "close what else uses it"
    )


@pytest.mark.parametrize("flavour", ["trt", "compat"])
def test_an_engine_bundle_without_a_gpu(voice_bundle: Path, tmp_path: Path, flavour: str) -> None:
    found = examine(of_flavour(voice_bundle, tmp_path / "bundle", flavour))
    assert not found.speaks
    assert not found.rooflines
    assert named(found, "speaks") == Check(
        "speaks",
        False,
        "tensorrt: needs an NVIDIA GPU; tensorrt-rtx: needs an NVIDIA GPU",
        "export the checkpoint for this machine: qwen3-tts-export bundle CHECKPOINT -o DIR",
    )


def test_a_flavour_of_the_future(voice_bundle: Path, tmp_path: Path) -> None:
    found = examine(of_flavour(voice_bundle, tmp_path / "bundle", "future"))
    assert not found.speaks
    assert named(found, "speaks").found == "no backend runs the flavour future"


def test_engines_for_another_gpu(
    voice_bundle: Path, tmp_path: Path, gpu: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library is there, but nobody has built the plans."""
    monkeypatch.setattr(doctor, "open_backend", lambda *_, **__: None)
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="10.16.1"))
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", SimpleNamespace(__version__="1.7.1"))
    bundle = of_flavour(voice_bundle, tmp_path / "bundle", "trt")
    found = examine(bundle)
    assert named(found, "tensorrt").ok
    verdict = named(found, "speaks")
    assert not verdict.ok
    assert "has no engines for [tensorrt 10.16.1 on sm_90 (NVIDIA H100)" in verdict.found
    assert f"run: qwen3-tts-export engines {bundle}" in (verdict.fix or "")


def test_engines_of_another_version(
    voice_bundle: Path, tmp_path: Path, gpu: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they are for is found; the command is the remedy, and nothing else is."""
    monkeypatch.setattr(doctor, "open_backend", lambda *_, **__: None)
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="10.16.1"))
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", SimpleNamespace(__version__="1.7.1"))
    bundle = of_flavour(voice_bundle, tmp_path / "bundle", "trt")
    key = EngineKey(
        library="tensorrt",
        version="10.3.0",
        capabilities=("sm_90",),
        gpu="NVIDIA H100",
        graphs="ab" * 32,
    )
    folder = bundle / "engines" / "old"
    folder.mkdir(parents=True)
    Engines(key=key, axes={}, plans={}).save(folder)
    verdict = named(examine(bundle), "speaks")
    assert "it has those for [tensorrt 10.3.0 on sm_90" in verdict.found
    assert verdict.fix == f"run: qwen3-tts-export engines {bundle} --target this-gpu"


def test_a_jetson(voice_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic"
    (tmp_path / "nv_tegra_release").write_text(f"{release}\n")
    (tmp_path / "model").write_text("NVIDIA Jetson AGX Orin\0")
    monkeypatch.setattr(machine, "_MODEL", tmp_path / "model")
    monkeypatch.setattr(doctor.platform, "machine", lambda: "aarch64")
    found = examine(voice_bundle)
    assert f"aarch64, Jetson {release}" in named(found, "system").found
    text = "NVIDIA Jetson AGX Orin, compute capability not known, L4T R36 (release)"
    assert named(found, "GPU") == Check("GPU", True, text)
    lack = named(found, "ort-cuda")
    assert lack.fix == "use the backend tensorrt"
    assert "Jetson" in lack.found


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (
            "NVIDIA L4, 8.9, 575.57.08, 22564\nNVIDIA L4, 8.9, 575.57.08, 1\n",
            Gpu("NVIDIA L4", "sm_89", "driver 575.57.08", 22564 * 2**20),
        ),
        ("NVIDIA GB10, 12.1, 580.95, [N/A]\n", Gpu("NVIDIA GB10", "sm_121", "driver 580.95", None)),
        ("No devices were found\n", "nvidia-smi found no GPU: No devices were found"),
    ],
)
def test_by_nvidia_smi(monkeypatch: pytest.MonkeyPatch, printed: str, expected: Gpu | str) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/bin/{name}")
    done = subprocess.CompletedProcess([], 0, stdout=printed, stderr="")
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: done)
    if isinstance(expected, Gpu):
        assert find_gpu() == expected
        return
    with pytest.raises(BackendError) as failure:
        find_gpu()
    assert failure.value.found == expected


def test_nvidia_smi_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 20)

    monkeypatch.setattr(machine.shutil, "which", lambda name: name)
    monkeypatch.setattr(machine.subprocess, "run", hangs)
    with pytest.raises(BackendError, match="nvidia-smi did not answer"):
        find_gpu()


def test_the_table(voice_bundle: Path) -> None:
    done = run(str(voice_bundle))
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert f"ok  speaks           {_ON_THE_CPU}" in lines
    assert "no  ort-cuda         needs an NVIDIA GPU" in lines
    (floor,) = (line for line in lines if "floor, CPU" in line)
    assert "of 80 ms a frame: " in floor
    assert "GB at 25 GB/s" in floor
    assert done.stderr == "measuring the memory of the CPU …\n"


def test_for_machines(voice_bundle: Path) -> None:
    done = run(str(voice_bundle), "--json")
    found = msgspec.json.decode(done.stdout)
    assert found["speaks"] is True
    assert found["rooflines"]["CPU"]["floor_ms"] > 0
    assert {"name": "speaks", "ok": True, "found": _ON_THE_CPU, "fix": None} in found["checks"]


def test_what_is_no_bundle(tmp_path: Path) -> None:
    done = run(str(tmp_path))
    assert done.exit_code == 1
    assert "no  bundle" in done.stdout
    assert "qwen3-tts-export bundle CHECKPOINT -o DIR" in done.stdout
    assert "no  speaks           there is no bundle to speak" in done.stdout


def test_bench_knows_the_floor(voice_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "cpu_bandwidth", lambda _, threads: 1e9 * threads)
    arguments = [str(voice_bundle), "--runs", "1", "--seconds", "1", "--threads", "1"]
    done = CliRunner().invoke(commands, ["bench", *arguments])
    assert done.exit_code == 0, done.output
    *table, last = done.stdout.splitlines()
    found = msgspec.json.decode(last)
    expected = examine(voice_bundle).rooflines["CPU"].floor_ms * 25  # 1 GB/s here, 25 there
    assert found["floor_ms"] == pytest.approx(expected, abs=0.01)
    times = round(found["frame_ms"] / found["floor_ms"], 2)
    assert any(f"{times} times the bandwidth floor" in line for line in table)


def test_bench_without_a_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_there(_: int) -> float:
        raise BackendError("cuda-python is not installed")

    monkeypatch.setattr(benchmark, "gpu_bandwidth", not_there)
    tts = SimpleNamespace(backend="ort-cuda", bundle=SimpleNamespace(folder=Path()), manifest=None)
    monkeypatch.setattr(benchmark, "roofline", lambda _, measure: measure(1))
    assert benchmark._floor(tts, None) is None


def test_what_the_processor_can_do_is_what_linux_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "cpuinfo"
    monkeypatch.setattr(machine, "Path", lambda _: told)
    assert not cpu_can("avx2")
    told.write_text("model name\t: A CPU\nflags\t\t: fpu avx2 avx512_vnni\nbugs\t\t: spectre\n")
    assert (cpu_name(), cpu_can("avx2"), cpu_can("avx512_vnni")) == ("A CPU", True, True)
    assert not cpu_can("avx512")  # the beginning of another's name
    assert not cpu_can("spectre")
