"""Build the engines of a bundle for one TensorRT library, version and kind of GPU.

It needs no PyTorch: engines for the GPU of a small device are built on that device.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from qwen3_tts_edge import locks
from qwen3_tts_edge.atomic import sweep, whole_folder_or_nothing
from qwen3_tts_edge.bundle.engines import (
    FOLDER,
    AxisRange,
    EngineKey,
    Engines,
    engine_graphs,
    graphs_hash,
    plan_file,
)
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.memory import capacity
from qwen3_tts_edge.bundle.own_files import FileSpec, sha256
from qwen3_tts_edge.errors import BundleError
from qwen3_tts_export.engines.plan import build_plan
from qwen3_tts_export.engines.target import find_target, open_library
from qwen3_tts_export.progress import Report

_MOST_ROWS = 256  # of a prompt at a time; scratch memory is planned for as many
_MOST_FRAMES = 8  # the largest chunk of a stream
_MOST_SLOTS = 8


def build_engines(
    bundle: Path, target: str, *, max_seconds: float | None = None, report: Report = lambda *_: None
) -> Path:
    """Build the engines of a bundle, into the bundle.

    They are built beside their place and renamed when all are there. Those that are there already
    stay, unless they were built for another `max_seconds`.

    Args:
        bundle: Its folder.
        target: One of `target.TARGETS`.
        max_seconds: The longest utterance, as for `Synthesizer.open`; here it is the number of
            positions that every frame attends to, so a smaller one is faster.
        report: Called as the work proceeds.

    Returns:
        The engines' folder.

    Raises:
        InputError: The target is unknown, or `max_seconds` is not above 0.
        CapacityError: `max_seconds` is more than the checkpoint has positions for.
        BackendError: The library or the GPU is not there, or the library refuses a graph.
        BundleError: Not a bundle, damaged, or of a flavour that TensorRT does not read.
    """
    wanted = find_target(target)
    manifest = Manifest.load(bundle)
    axes = _axes(capacity(manifest, max_seconds))
    library = open_library(wanted.library, manifest.flavour)
    key = EngineKey(
        library=wanted.library,
        version=library.__version__,
        capabilities=wanted.capabilities,
        gpu=wanted.gpu,
        graphs=graphs_hash(manifest),
    )
    folder = bundle / FOLDER / key.folder_name
    with locks.turn(bundle / FOLDER):  # two would also disturb each other's timings
        if _is_there(folder, key, axes):
            sweep(folder)
        else:
            _build(library, bundle, manifest, folder, key, axes, report)
    return folder


def _build(
    library: Any,
    bundle: Path,
    manifest: Manifest,
    folder: Path,
    key: EngineKey,
    axes: Mapping[str, AxisRange],
    report: Report,
) -> None:
    report("bundle: comparing hashes", 0.0)
    manifest.verify(bundle)
    graphs = engine_graphs(manifest)
    sizes = {name: manifest.size_of(name) for name in graphs}  # a measure of the work
    with whole_folder_or_nothing(folder, replace=True) as part:
        plans, done = {}, 0.0
        for name, spec in graphs.items():
            share = sizes[name] / sum(sizes.values())
            plan = plan_file(part, name)
            on_phase = _part_of(report, name, done, share)
            plan.write_bytes(build_plan(library, bundle, spec, key, axes, on_phase))
            plans[name] = FileSpec(size=plan.stat().st_size, sha256=sha256(plan))
            done += share
        Engines(key=key, axes=axes, plans=plans).save(part)
    report("done", 1.0)


def _axes(positions: int) -> dict[str, AxisRange]:
    return {
        "batch": AxisRange(least=1, best=1, most=_MOST_SLOTS),
        "rows": AxisRange(least=1, best=1, most=min(_MOST_ROWS, positions)),
        "frames": AxisRange(least=1, best=_MOST_FRAMES, most=_MOST_FRAMES),
        "capacity": AxisRange(least=positions, best=positions, most=positions),
    }


def _part_of(report: Report, graph: str, start: float, share: float) -> Report:
    """Report the progress of one graph as progress of the whole."""
    return lambda phase, done: report(f"{graph}: {phase}", start + share * done)


def _is_there(folder: Path, key: EngineKey, axes: Mapping[str, AxisRange]) -> bool:
    with suppress(BundleError):
        found = Engines.load(folder)
        found.verify(folder)
        return found.key == key and found.axes == axes
    return False
