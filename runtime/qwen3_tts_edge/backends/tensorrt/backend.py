"""TensorRT and TensorRT-RTX: the engines of a bundle that were built for this GPU.

The encoders have none: they run once a voice, on the CPU.
"""

from collections.abc import Mapping
from pathlib import Path

from qwen3_tts_edge.backends import Graph
from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.backends.tensorrt.engine import Engine, Library
from qwen3_tts_edge.backends.tensorrt.frame import TensorRTFrame
from qwen3_tts_edge.backends.tensorrt.graph import TensorRTGraph
from qwen3_tts_edge.bundle.engines import EngineKey, find_engines, graphs_hash, plan_file
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.bundle.manifest import (
    CODEC_ENCODER,
    PREDICTOR_STEP,
    SPEAKER_ENCODER,
    TALKER_STEP,
    graph_named,
    load_codec,
)


class TensorRTBackend:
    """Opens engines of one of the two libraries."""

    side_by_side = False

    def __init__(self, name: str, *, threads: int | None = None) -> None:
        """Load CUDA and the library.

        Args:
            name: `tensorrt` or `tensorrt-rtx`.
            threads: CPU threads for the encoders.

        Raises:
            BackendError: One of the two is not installed, or there is no GPU.
        """
        self.name = name
        self._threads = threads
        self._cuda = Cuda()
        self._device = self._cuda.device()  # TensorRT itself may crash where there is none
        self._library = Library(name.replace("-", "_"))

    def open(self, folder: Path, spec: GraphSpec) -> Graph:
        """Load an engine, as `backends.Backend.open` says.

        Raises:
            BackendError: The bundle has no engines for this GPU and this library, or the library
                is not installed that an encoder needs.
            BundleError: An engine is damaged.
        """
        if Path(spec.file).stem in (CODEC_ENCODER, SPEAKER_ENCODER):
            from qwen3_tts_edge.backends.ort.cpu import OrtBackend

            return OrtBackend(threads=self._threads).open(folder, spec)
        (engine,) = self._load(folder, spec)
        return TensorRTGraph(self._cuda, engine)

    def open_frame(
        self, folder: Path, graphs: Mapping[str, GraphSpec], capacity: int
    ) -> TensorRTFrame:
        """Load talker and code predictor, as `backends.Backend.open_frame` says.

        How many positions the KV cache has is a part of the plan, whatever `capacity` asks for.

        Raises:
            BackendError: The bundle has no engines for this GPU and this library.
            BundleError: An engine is damaged.
        """
        steps = (graph_named(name, graphs) for name in (TALKER_STEP, PREDICTOR_STEP))
        talker, predictor = self._load(folder, *steps)
        return TensorRTFrame(self._cuda, talker, predictor)

    def _load(self, folder: Path, *specs: GraphSpec) -> list[Engine]:
        here = EngineKey(
            library=self._library.name,
            version=self._library.version,
            capabilities=(self._device.capability,),
            gpu=self._device.name,
            graphs=graphs_hash(load_codec(folder)),
        )
        found, engines = find_engines(folder, here)
        return [
            self._library.load(plan_file(found, Path(spec.file).stem), spec, engines.axes)
            for spec in specs
        ]
