"""ONNX Runtime on the CPU."""

from collections.abc import Mapping
from pathlib import Path

from qwen3_tts_edge.backends import ORT_CPU
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.bundle.manifest import FRAME
from qwen3_tts_edge.errors import BackendError

try:
    import onnxruntime  # noqa: F401
except ImportError as error:
    raise BackendError(
        "ONNX Runtime is not installed", "run: pip install 'qwen3-tts-edge[cpu]'"
    ) from error

from qwen3_tts_edge.backends.ort.frame import FusedFrame
from qwen3_tts_edge.backends.ort.graph import OrtGraph, load, session_options


class OrtBackend:
    """Opens graphs on the CPU."""

    name = ORT_CPU

    def __init__(self, *, threads: int | None = None) -> None:
        self._threads = threads

    def open(self, folder: Path, spec: GraphSpec) -> OrtGraph:
        """Load a graph, as `backends.Backend.open` says.

        Raises:
            BundleError: ONNX Runtime cannot read the graph.
            BackendError: The session does not run where it should.
        """
        session = load(folder / spec.file, session_options(self._threads), "CPUExecutionProvider")
        return OrtGraph(session, spec)

    def open_frame(
        self, folder: Path, graphs: Mapping[str, GraphSpec], capacity: int
    ) -> FusedFrame:
        """Load the frame graph, as `backends.Backend.open_frame` says. Errors are `open`'s."""
        return FusedFrame(self.open(folder, graphs[FRAME]), capacity)
