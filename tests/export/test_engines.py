"""Building engines, by the real TensorRT-RTX: it builds for GPUs that are not there."""

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from qwen3_tts_edge.backends import cuda as cuda_driver
from qwen3_tts_edge.bundle.engines import (
    FILE,
    FOLDER,
    TENSORRT_RTX,
    EngineKey,
    Engines,
    find_engines,
    graphs_hash,
    plan_file,
)
from qwen3_tts_edge.bundle.graph_spec import TensorSpec
from qwen3_tts_edge.bundle.manifest import TALKER_STEP, Manifest
from qwen3_tts_edge.errors import BackendError, BundleError, CapacityError, InputError
from qwen3_tts_export.engines import building as engines
from qwen3_tts_export.engines import target as tensorrt_library
from qwen3_tts_export.engines.building import build_engines
from qwen3_tts_export.engines.target import RTX_CAPABILITIES, Target, find_target, open_library
from small_bundle import SPEC, write_small_bundle

trt = pytest.importorskip("tensorrt_rtx")

SmallBundle = Callable[..., Path]


@pytest.fixture
def small_bundle(tmp_path: Path) -> SmallBundle:
    """Return a function that writes a bundle of one graph."""
    return functools.partial(write_small_bundle, tmp_path / "bundle")


def rtx_key(bundle: Path, capability: str) -> EngineKey:
    return EngineKey(
        library=TENSORRT_RTX,
        version=trt.__version__,
        capabilities=(capability,),
        gpu="Some GPU",
        graphs=graphs_hash(Manifest.load(bundle)),
    )


def everything(bundle: Path) -> list[str]:
    return sorted(path.relative_to(bundle).as_posix() for path in bundle.rglob("*"))


@pytest.mark.parametrize("capability", RTX_CAPABILITIES)
def test_one_plan_for_all_of_rtx(small_bundle: SmallBundle, capability: str) -> None:
    bundle = small_bundle()
    seen: list[tuple[str, float]] = []
    folder = build_engines(bundle, "rtx", report=lambda what, share: seen.append((what, share)))
    found, built = find_engines(bundle, rtx_key(bundle, capability))
    assert found == folder
    assert sorted(path.name for path in folder.iterdir()) == [FILE, f"{TALKER_STEP}.plan"]
    assert (built.key.capabilities, built.key.gpu) == (RTX_CAPABILITIES, None)
    assert built.plans[TALKER_STEP].size == plan_file(folder, TALKER_STEP).stat().st_size
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert (shares[0], seen[-1]) == (0.0, ("done", 1.0))
    assert any(what.startswith(f"{TALKER_STEP}: ") and 0 < share < 1 for what, share in seen)


def test_a_plan_for_one_capability_is_for_no_other(small_bundle: SmallBundle) -> None:
    bundle = small_bundle()
    build_engines(bundle, "sm_120")
    with pytest.raises(BackendError, match=r"no engines for \[.*sm_89.*it has those for \[.*sm_12"):
        find_engines(bundle, rtx_key(bundle, "sm_89"))


def test_the_capacity_is_part_of_the_plan(small_bundle: SmallBundle) -> None:
    bundle = small_bundle()
    folder = build_engines(bundle, "sm_89", max_seconds=8)
    axes = Engines.load(folder).axes
    assert (axes["capacity"].least, axes["capacity"].most) == (100 + 512, 100 + 512)
    assert (axes["batch"].most, axes["rows"].most, axes["frames"].most) == (8, 256, 8)


def test_built_once_unless_something_else_is_wanted(small_bundle: SmallBundle) -> None:
    bundle = small_bundle()
    folder = build_engines(bundle, "sm_89")
    before = (folder / FILE).stat()
    assert build_engines(bundle, "sm_89") == folder
    assert (folder / FILE).stat() == before
    assert build_engines(bundle, "sm_89", max_seconds=8) == folder
    assert (folder / FILE).stat() != before
    before = (folder / FILE).stat()
    plan_file(folder, TALKER_STEP).write_bytes(b"cut off")
    build_engines(bundle, "sm_89", max_seconds=8)
    assert (folder / FILE).stat() != before
    assert [path.name for path in (bundle / FOLDER).iterdir()] == [folder.name]


def test_a_build_that_was_stopped_leaves_nothing(small_bundle: SmallBundle) -> None:
    """Ctrl-C in the middle of the library's own work, which swallows what Python raises in it."""
    bundle = small_bundle()
    before = everything(bundle)
    phases: list[str] = []

    def stop(what: str, _: float) -> None:
        phases.append(what)
        if len(phases) == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        build_engines(bundle, "rtx", report=stop)
    assert len(phases) > 4
    assert phases[-1] != "done"
    assert everything(bundle) == before


def test_a_build_that_fails_leaves_what_was_there(
    small_bundle: SmallBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = small_bundle()
    build_engines(bundle, "rtx")
    before = everything(bundle)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engines, "build_plan", fail)
    for target in ("rtx", "sm_89"):
        with pytest.raises(OSError, match="No space"):
            build_engines(bundle, target, max_seconds=8)
        assert everything(bundle) == before
    find_engines(bundle, rtx_key(bundle, "sm_89"))


def test_a_node_that_is_not_to_its_liking_is_named(small_bundle: SmallBundle) -> None:
    bundle = small_bundle("Multinomial")
    before = everything(bundle)
    with pytest.raises(BackendError) as caught:
        build_engines(bundle, "rtx")
    assert f"tensorrt_rtx cannot read {bundle / SPEC.file}: node adding" in str(caught.value)
    assert "Multinomial" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert everything(bundle) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": SPEC.inputs[:1]}, "input position is int64, the manifest says nothing of it"),
        ({"states": ()}, "input past_key_values.0.key is float16, the manifest says nothing of it"),
        (
            {"outputs": (TensorSpec(name="sum", dtype="float32", shape=("batch", 2, 1, 16)),)},
            "output sum is float16, the manifest says float32",
        ),
        (
            {"outputs": (*SPEC.outputs, TensorSpec(name="code", dtype="int64", shape=("batch",)))},
            "output code is missing, the manifest says int64",
        ),
    ],
)
def test_a_graph_that_is_not_the_manifests(
    small_bundle: SmallBundle, change: dict[str, object], message: str
) -> None:
    bundle = small_bundle(spec=msgspec.structs.replace(SPEC, **change))
    with pytest.raises(BundleError, match=f"{SPEC.file}: {message}; export the bundle again"):
        build_engines(bundle, "rtx")


def test_a_file_that_is_not_what_was_exported(small_bundle: SmallBundle) -> None:
    bundle = small_bundle()
    path = bundle / SPEC.file
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match="is not what was written"):
        build_engines(bundle, "rtx")


@pytest.mark.parametrize(
    ("seconds", "error"), [(0.0, InputError), (-1.0, InputError), (10**6, CapacityError)]
)
def test_seconds_that_cannot_be(
    small_bundle: SmallBundle, seconds: float, error: type[Exception]
) -> None:
    with pytest.raises(error, match="max_seconds"):
        build_engines(small_bundle(), "rtx", max_seconds=seconds)


def test_a_flavour_for_another_runtime(small_bundle: SmallBundle) -> None:
    with pytest.raises(BundleError, match=r"flavour 'ort'.*export .* again with --flavour trt"):
        build_engines(small_bundle(flavour="ort"), "rtx")


def test_it_needs_no_pytorch(small_bundle: SmallBundle) -> None:
    bundle = small_bundle()
    code = """
import sys
sys.modules["torch"] = sys.modules["onnxscript"] = sys.modules["onnxruntime"] = None
from qwen3_tts_export.cli import main
main()
"""
    args = [sys.executable, "-c", code, "engines", str(bundle), "--target", "sm_89"]
    done = subprocess.run(args, capture_output=True, text=True, check=True)
    folder = bundle / FOLDER / f"tensorrt_rtx-{trt.__version__}-sm_89"
    size = plan_file(folder, TALKER_STEP).stat().st_size / 1e6
    assert (done.stdout, done.stderr) == ("", f"{folder}: 1 plans, {size:.1f} MB\n")


class TestTargets:
    def test_rtx(self) -> None:
        assert find_target("rtx") == Target(TENSORRT_RTX, RTX_CAPABILITIES, None)
        assert find_target("sm_86") == Target(TENSORRT_RTX, ("sm_86",), None)

    def test_the_gpu_that_is_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Orin:
            def device(self) -> cuda_driver.Device:
                return cuda_driver.Device("Orin", "sm_87")

        monkeypatch.setattr(cuda_driver, "Cuda", Orin)
        assert find_target("this-gpu") == Target("tensorrt", ("sm_87",), "Orin")

    @pytest.mark.parametrize("name", ["sm_87", "sm_90", "cuda", ""])
    def test_an_unknown_one(self, name: str) -> None:
        message = "choose one of rtx, sm_80, sm_86, sm_89, sm_120, this-gpu: "
        with pytest.raises(InputError, match=f"no target is called '{name}'; {message}"):
            find_target(name)


class TestLibrary:
    @pytest.mark.parametrize(("name", "extra"), [("tensorrt", "tensorrt"), ("tensorrt_rtx", "rtx")])
    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch, name: str, extra: str) -> None:
        monkeypatch.setitem(sys.modules, name, None)
        message = rf'{name} cannot be imported .*; run: pip install "qwen3-tts-edge\[{extra}\]"'
        with pytest.raises(BackendError, match=message):
            open_library(name, "trt")

    @pytest.mark.parametrize(
        ("name", "version", "flavour"),
        [
            ("tensorrt", "10.15.1.29", "trt"),
            ("tensorrt", "11.4.0.106", "trt"),
            ("tensorrt", "10.3.0", "compat"),
            ("tensorrt_rtx", "1.10.0.1", "trt"),
        ],
    )
    def test_new_enough(
        self, monkeypatch: pytest.MonkeyPatch, name: str, version: str, flavour: str
    ) -> None:
        module = SimpleNamespace(__version__=version)
        monkeypatch.setitem(sys.modules, name, module)
        assert open_library(name, flavour) is module

    @pytest.mark.parametrize(
        ("name", "version", "flavour", "message"),
        [
            ("tensorrt", "10.3.0", "trt", "needs 10.15; .*, or export .* with --flavour compat"),
            ("tensorrt", "8.6.1", "compat", r"needs 10\.3; .*system-site-packages$"),
            ("tensorrt_rtx", "1.3.0.35", "trt", r'needs 1\.4; .*\[rtx\]"$'),
        ],
    )
    def test_too_old(
        self,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        version: str,
        flavour: str,
        message: str,
    ) -> None:
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(__version__=version))
        with pytest.raises(BackendError, match=f"{name} {version} is too old .*{message}"):
            open_library(name, flavour)


@pytest.fixture
def full_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT-RTX in the place of TensorRT, which cannot be imported without a GPU."""
    target = Target("tensorrt", ("sm_89",), "NVIDIA L4")
    monkeypatch.setattr(engines, "find_target", lambda _: target)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    monkeypatch.setitem(tensorrt_library.LEAST_VERSIONS["tensorrt"], "trt", (1, 0))


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX")  # it keeps no timings itself
@pytest.mark.usefixtures("full_tensorrt")
class TestFullTensorRT:
    def test_it_goes_the_same_way(self, small_bundle: SmallBundle) -> None:
        """What it is asked for exists, and its timings are kept."""
        bundle = small_bundle()
        folder = build_engines(bundle, "this-gpu")
        assert folder.name == f"tensorrt-{trt.__version__}-sm_89-NVIDIA-L4"
        timings = bundle / FOLDER / f"{folder.name}.timings"
        plan = f"{folder.name}/{TALKER_STEP}.plan"
        expected = sorted([folder.name, f"{folder.name}/{FILE}", plan, timings.name])
        assert everything(bundle / FOLDER) == expected
        build_engines(bundle, "this-gpu", max_seconds=8)
        here = Engines.load(folder).key
        assert find_engines(bundle, here)[0] == folder
        with pytest.raises(BackendError, match=r"NVIDIA L40S.*it has those for \[.*NVIDIA L4\)"):
            find_engines(bundle, msgspec.structs.replace(here, gpu="NVIDIA L40S"))

    def test_timings_that_are_refused_are_made_anew(
        self, small_bundle: SmallBundle, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bundle = small_bundle()
        folder = build_engines(bundle, "this-gpu")
        timings = bundle / FOLDER / f"{folder.name}.timings"
        known = timings.read_bytes()
        timings.write_bytes(b"of other clocks")
        take, asked = trt.IBuilderConfig.set_timing_cache, []

        def refuse_the_first(self: object, cache: object, *, ignore_mismatch: bool) -> bool:
            asked.append(ignore_mismatch)
            return len(asked) > 1 and take(self, cache, ignore_mismatch=ignore_mismatch)

        monkeypatch.setattr(trt.IBuilderConfig, "set_timing_cache", refuse_the_first)
        build_engines(bundle, "this-gpu", max_seconds=8)
        assert asked == [False, False]
        assert timings.read_bytes() == known
