"""Opens the codec decoder in OpenVINO, and every other graph in ONNX Runtime."""

from collections.abc import Mapping
from pathlib import Path

from qwen3_tts_edge.backends import OPENVINO, FrameGraph, Graph
from qwen3_tts_edge.backends.openvino.graph import OpenVinoGraph
from qwen3_tts_edge.backends.openvino.library import core
from qwen3_tts_edge.backends.ort.cpu import OrtBackend
from qwen3_tts_edge.backends.processors import processors
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER


class OpenVinoBackend:
    """Opens graphs on the CPU; the codec decoder computes in bfloat16 where the CPU does."""

    name = OPENVINO
    side_by_side = True

    def __init__(self, *, threads: int | None = None) -> None:
        """Note how graphs are opened; arguments are those of `OrtBackend`.

        Raises:
            BackendError: OpenVINO, or ONNX Runtime, is not installed.
        """
        core()
        self._threads = threads
        self._others = OrtBackend(threads=threads)

    def open(self, folder: Path, spec: GraphSpec) -> Graph:
        """Load a graph, as `backends.Backend.open` says.

        Raises:
            BundleError: The library cannot read the graph.
            BackendError: The session does not run where it should.
        """
        if Path(spec.file).stem != CODEC_DECODER:
            return self._others.open(folder, spec)
        return OpenVinoGraph(folder, spec, self._threads or processors())

    def open_frame(
        self, folder: Path, graphs: Mapping[str, GraphSpec], capacity: int
    ) -> FrameGraph:
        """Load the frame graph, as `backends.Backend.open_frame` says. Errors are `open`'s."""
        return self._others.open_frame(folder, graphs, capacity)
