"""Fixtures shared by all tests: tiny random checkpoints, and what the run stands on."""

import contextlib
import functools
import gc
import os
import platform
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import pytest

import kept
import qwen3_tts_edge.backends.ort  # noqa: F401  # before ONNX Runtime, which else reports itself
from calibrated import write_quickly
from qwen3_tts_edge.cache import VARIABLE
from tiny import EDGE_VOICE, Kind, tiny_config

TinyCheckpoint = Callable[..., Path]
MadeOnce = Callable[[str, Callable[[Path], Any]], Path]


# To each worker its share of the cores: on shared ones, threads of two wait for one another.
_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    if share := sorted(_CORES)[number :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])]:
        os.sched_setaffinity(0, share)

# A shell lets what it runs in the background ignore Ctrl-C, and all that is started from there.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Have one worker more than there are cores: some of them wait, for servers and processes."""
    return (len(_CORES) or os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """Take what was imported out of every search for garbage, and out of what forked children copy.

    It is there to the end: a million objects, which otherwise make a search take half a second.
    """
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    """Name the versions a result depends on."""
    names = ("torch", "onnx", "onnxruntime", "transformers", "qwen-tts")
    return f"python {platform.python_version()}, " + ", ".join(map(_version, names))


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} absent"


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's cache out of the tests, and the tests out of it; commands inherit this."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _loaded_once() -> Iterator[None]:
    """Let bundles that all tests share be opened with graphs that are loaded once: see `loaded`."""
    from loaded import loaded_once
    from qwen3_tts_edge.backends.ort import cpu
    from qwen3_tts_edge.bundle.bundled import bundled_voice
    from qwen3_tts_edge.errors import BundleError

    shared = [kept.CACHE]
    with contextlib.suppress(BundleError):
        shared.append(bundled_voice())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cpu, "load", loaded_once(cpu.load, *shared))
        yield


@pytest.fixture(scope="session")
def made_once() -> MadeOnce:
    """Return a function that gives a folder which is made once: see `kept`.

    `made_once("name", make)` calls `make(folder)` unless the folder is there. Tests run in as many
    processes as there are cores, and again and again.
    """
    return kept.exports().get


@pytest.fixture(scope="session")
def traced_once() -> Iterator[None]:
    """Let exports trace a network once: see `traces`."""
    from qwen3_tts_export.bundle import graph_files
    from traces import traced_once

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(graph_files, "trace", traced_once(graph_files.trace, kept.traces()))
        yield


@pytest.fixture(scope="session")
def tiny_checkpoint(made_once: MadeOnce) -> TinyCheckpoint:
    """Return a function that gives the folder of a tiny random checkpoint.

    `tiny_checkpoint("base", "narrow", seed=3)`; the session shares the folder: copy before editing.
    """
    # Here and not above: the tests of the runtime also run where PyTorch is not installed.
    pytest.importorskip("torch")
    from qwen3_tts_export.checkpoint.random import write_random

    def make(
        kind: Kind = "custom_voice",
        predictor: Literal["same", "narrow"] = "same",
        *,
        seed: int = 0,
    ) -> Path:
        config, codec = tiny_config(kind, predictor)
        write = functools.partial(
            write_random,
            config_json=config,
            codec_config_json=codec,
            seed=seed,
            tokenizer_from=EDGE_VOICE,
        )
        return made_once(f"tiny-{kind}-{predictor}-{seed}", write)

    return make


@pytest.fixture(scope="session")
def voice_bundle(request: pytest.FixtureRequest, made_once: MadeOnce) -> Path:
    """Give the bundled voice in int8: the one in models/ if it was exported, else a fresh one."""
    from qwen3_tts_edge.bundle.bundled import bundled_voice
    from qwen3_tts_edge.errors import BundleError

    try:
        return bundled_voice()
    except BundleError:
        pytest.importorskip("torch")
    request.getfixturevalue("traced_once")
    from qwen3_tts_export.bundle.writing import write_bundle
    from qwen3_tts_export.checkpoint.opening import Checkpoint

    return made_once(
        "edge-voice-int8",
        lambda folder: write_bundle(Checkpoint.open(EDGE_VOICE), folder, precision="int8"),
    )


@pytest.fixture(scope="session")
def spoken_codes(voice_bundle: Path) -> Any:
    """Give codes (400, 16) that say something.

    A trained codec is judged on these: it may make much of the last bits of what means nothing.
    """
    import numpy as np

    from qwen3_tts_edge import Synthesizer

    tts = Synthesizer.open(voice_bundle, threads=1)
    text = "The old clock in the hall struck nine. Nobody was awake. The dog turned over and slept."
    return np.concatenate([tts.speak(text, seed=seed).codes for seed in range(9)])[:400]


TinyBundle = Callable[..., Path]


@pytest.fixture(scope="session")
def one_thread() -> None:
    """Run torch on one thread: tiny networks on more only wait for each other, up to 20 times."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def all_cores() -> Iterator[None]:
    """Give a module all cores, not a worker's share: it is about threads that work side by side."""
    if not _CORES:
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _CORES)
    yield
    os.sched_setaffinity(0, own)


@pytest.fixture(scope="session")
def tiny_bundle(
    tiny_checkpoint: TinyCheckpoint, made_once: MadeOnce, one_thread: None, traced_once: None
) -> TinyBundle:
    """Return a function that gives the bundle of a tiny checkpoint.

    The voice_design checkpoint with the `same` predictor has the very tensors of the custom_voice
    one, so its bundle is that one's files under its own manifest.
    """
    from qwen3_tts_edge.bundle.head import FILE
    from qwen3_tts_edge.bundle.manifest import Manifest
    from qwen3_tts_export.bundle.description import describe
    from qwen3_tts_export.checkpoint.opening import Checkpoint

    def twin(checkpoint: Checkpoint, folder: Path, original: Path) -> None:
        shutil.copytree(original, folder)
        (folder / FILE).unlink()
        graphs = dict(Manifest.load(original).graphs)
        precision = Manifest.load(original).precision
        describe(checkpoint, folder, precision, "ort", graphs).save(folder)

    def make(
        kind: Kind = "custom_voice",
        predictor: Literal["same", "narrow"] = "same",
        precision: str = "fp32",
    ) -> Path:
        checkpoint = Checkpoint.open(tiny_checkpoint(kind, predictor))
        name = f"tiny-{kind}-{predictor}-{precision}"
        if (kind, predictor) == ("voice_design", "same"):
            original = make("custom_voice", predictor, precision)
            return made_once(name, lambda folder: twin(checkpoint, folder, original))
        return made_once(
            name, lambda folder: write_quickly(checkpoint, folder, precision=precision)
        )

    return make


@pytest.fixture(scope="session")
def exact_voice_bundle(made_once: MadeOnce, one_thread: None, traced_once: None) -> Path:
    """Give the bundled voice in fp32."""
    from qwen3_tts_export.bundle.writing import write_bundle
    from qwen3_tts_export.checkpoint.opening import Checkpoint

    return made_once(
        "edge-voice-fp32",
        lambda folder: write_bundle(Checkpoint.open(EDGE_VOICE), folder, precision="fp32"),
    )


@pytest.fixture(scope="session")
def bundle_in(
    request: pytest.FixtureRequest,
    tiny_checkpoint: TinyCheckpoint,
    made_once: MadeOnce,
    one_thread: None,
    traced_once: None,
) -> Callable[..., Path]:
    """Return a function that gives a bundle by checkpoint, flavour and precision.

    `bundle_in("edge-voice", "trt")`, `bundle_in("same", "compat", "int8")`: the bundled voice, or
    the tiny custom_voice checkpoint with that predictor.
    """
    from qwen3_tts_export.checkpoint.opening import Checkpoint

    def make(name: str, flavour: str, precision: str = "fp32") -> Path:
        voiced = name == "edge-voice"
        if (flavour, precision) == ("ort", "fp32"):
            if voiced:
                return request.getfixturevalue("exact_voice_bundle")
            return request.getfixturevalue("tiny_bundle")("custom_voice", name)
        checkpoint = Checkpoint.open(
            EDGE_VOICE if voiced else tiny_checkpoint("custom_voice", name)
        )
        return made_once(
            f"{name}-{precision}-{flavour}",
            lambda folder: write_quickly(checkpoint, folder, precision=precision, flavour=flavour),
        )

    return make


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what this process measured to the one that reports."""
    table = sys.modules.get("parity.tolerances")
    if table is not None and hasattr(session.config, "workeroutput"):
        session.config.workeroutput["measured"] = dict(table.measured)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect what a worker measured."""
    from parity.tolerances import measured

    for what, value in getattr(node, "workeroutput", {}).get("measured", {}).items():
        measured[what] = max(value, measured.get(what, 0.0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how close the parity tests came."""
    table = sys.modules.get("parity.tolerances")
    if table is None or not table.measured:
        return
    terminalreporter.section("parity: largest differences measured")
    for what, value in sorted(table.measured.items()):
        allowed = table.LADDER.get(what)
        limit = f" of {allowed.largest:.0e} allowed" if allowed else ""
        terminalreporter.write_line(f"{what:28} {value:.3g}{limit}")
