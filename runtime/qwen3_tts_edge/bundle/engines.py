"""TensorRT's compiled graphs, called engines: what they were built for, and which run here.

The engines of a bundle lie in its folder `engines`, in one folder for each library, version and
GPU they were built for. Each has an `engine.json`, which export writes and the runtime reads.
"""

import hashlib
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import msgspec

from qwen3_tts_edge.atomic import PART
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.bundle.hash_memory import HashMemory
from qwen3_tts_edge.bundle.manifest import CODEC_ENCODER, SPEAKER_ENCODER, CodecManifest
from qwen3_tts_edge.bundle.own_files import FileSpec, Has, Source, compare, has_hash, leads_out
from qwen3_tts_edge.errors import BackendError, BundleError, reason
from qwen3_tts_edge.files import NOT_JSON, Strict, write_json

FOLDER, FILE = "engines", "engine.json"
TENSORRT, TENSORRT_RTX = "tensorrt", "tensorrt_rtx"
"""The libraries, by the modules they are."""
_SOURCE = Source(FILE, "build the engines again")


class EngineKey(Strict, frozen=True):
    """What engines were built from and for. The key of this machine says what would run here.

    Attributes:
        library: `tensorrt` or `tensorrt_rtx`.
        version: Of the library. A plan is read by the version that wrote it and no other.
        capabilities: Compute capabilities, as `sm_89`: all that the plans are for, or the one
            that is here.
        gpu: Its name; None where plans are not for one GPU, which is TensorRT-RTX.
        graphs: `graphs_hash` of the bundle.
    """

    library: str
    version: str
    capabilities: tuple[str, ...]
    gpu: str | None
    graphs: str

    def runs_on(self, here: "EngineKey") -> bool:
        """Say whether engines of this key run on the machine whose key is `here`."""
        return (
            (self.library, self.version, self.graphs) == (here.library, here.version, here.graphs)
            and set(here.capabilities) <= set(self.capabilities)
            and self.gpu in (None, here.gpu)
        )

    @property
    def folder_name(self) -> str:
        """Name the folder of its engines in the bundle's `engines`."""
        parts = (self.library, self.version, *self.capabilities, self.gpu or "")
        return re.sub(r"[^\w.]+", "-", "-".join(parts)).strip("-")

    def __str__(self) -> str:
        gpu = f" ({self.gpu})" if self.gpu else ""
        capabilities = ", ".join(self.capabilities)
        return f"{self.library} {self.version} on {capabilities}{gpu}, graphs {self.graphs[:12]}"


class AxisRange(Strict, frozen=True):
    """Sizes of a dynamic axis that an engine takes, and the one it was made fastest for."""

    least: int
    best: int
    most: int


class Engines(Strict, frozen=True):
    """`engine.json`.

    Attributes:
        key: What the plans were built from and for.
        axes: By the names that the manifest's shapes use. Where `least` is `most` the size is
            part of the plan: nothing else can be bound.
        plans: The plan of each graph: its file has the graph's name and ends in `.plan`.
    """

    key: EngineKey
    axes: Mapping[str, AxisRange]
    plans: Mapping[str, FileSpec]

    def save(self, folder: Path) -> None:
        """Write `engine.json`."""
        write_json(folder / FILE, self)

    @classmethod
    def load(cls, folder: Path) -> "Engines":
        """Read `engine.json`.

        Raises:
            BundleError: It is missing or damaged.
        """
        path = folder / FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, *NOT_JSON) as error:
            raise BundleError(f"{path} cannot be read: {reason(error)}", _SOURCE.remedy) from error

    def verify(self, folder: Path, has: Has = has_hash) -> None:
        """Compare every plan with its size and hash.

        Args:
            folder: Of the engines.
            has: Tells whether a file has a hash.

        Raises:
            BundleError: One is missing, differs, or is a link.
        """
        for name, spec in self.plans.items():
            if leads_out(name):
                raise BundleError(f"{folder / FILE} names {name!r}", _SOURCE.remedy)
            compare(plan_file(folder, name), spec, has, _SOURCE)


def plan_file(folder: Path, graph: str) -> Path:
    """Give the file of a graph's plan."""
    return folder / f"{graph}.plan"


def engine_folders(bundle: Path) -> list[Path]:
    """List the folders of engines in a bundle's, those that are being written left out."""
    there = (path.parent for path in sorted((bundle / FOLDER).glob(f"*/{FILE}")))
    return [folder for folder in there if folder.suffix != PART]


def find_engines(bundle: Path, here: EngineKey) -> tuple[Path, Engines]:
    """Find the engines of a bundle that run on this machine, and check them.

    A plan is read where it did not have its hash before or has changed, see `hash_memory`.

    Args:
        bundle: Its folder.
        here: This machine, and the `graphs_hash` of the bundle.

    Returns:
        Their folder and what it says.

    Raises:
        BackendError: There are none, or all are from elsewhere: names their keys and ours.
        BundleError: They are damaged.
    """
    keys = []
    for folder in engine_folders(bundle):
        engines = Engines.load(folder)
        if engines.key.runs_on(here):
            known = HashMemory()
            engines.verify(folder, known.has)
            known.save()
            return folder, engines
        keys.append(f"[{engines.key}]")
    target = "rtx" if here.library == TENSORRT_RTX else "this-gpu"
    others = "those for " + ", ".join(keys) if keys else "none"
    raise BackendError(
        f"{bundle} has no engines for [{here}]; it has {others}",
        f"run: qwen3-tts-export engines {shlex.quote(str(bundle))} --target {target}",
    )


def engine_graphs(manifest: CodecManifest) -> dict[str, GraphSpec]:
    """List the graphs that engines are built from: all but the encoders, which run once a voice."""
    return {
        name: spec
        for name, spec in manifest.graphs.items()
        if name not in (CODEC_ENCODER, SPEAKER_ENCODER)
    }


def graphs_hash(manifest: CodecManifest) -> str:
    """Hash the graphs that engines are built from, weights included, by the manifest's hashes."""
    files = manifest.files_of(*engine_graphs(manifest))
    lines = [f"{spec.sha256} {file}\n" for file, spec in files.items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
