"""ONNX Runtime on the CPU."""

from collections.abc import Mapping
from pathlib import Path

from qwen3_tts_edge.backends import ORT_CPU, SMALL
from qwen3_tts_edge.backends.ort.install import import_error
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.bundle.manifest import FRAME, graph_named

try:
    from onnxruntime import InferenceSession  # noqa: F401
except ImportError as error:
    raise import_error(error, 'pip install "qwen3-tts-edge[cpu]"') from error

from qwen3_tts_edge.backends.ort.frame import FusedFrame
from qwen3_tts_edge.backends.ort.graph import OrtGraph
from qwen3_tts_edge.backends.ort.session import load, session_options
from qwen3_tts_edge.backends.processors import processors


class OrtBackend:
    """Opens graphs on the CPU."""

    name = ORT_CPU
    side_by_side = True

    def __init__(self, *, threads: int | None = None, profiles: Path | None = None) -> None:
        """Note how graphs are opened.

        Args:
            threads: That work at once, on one launch, or small ones on a launch each; None is one
                per physical core.
            profiles: A folder, for who measures: ONNX Runtime writes what each node of a graph took
                into a JSON file there, when the graph is closed.
        """
        self._threads = threads
        self._profiles = profiles

    def open(self, folder: Path, spec: GraphSpec) -> OrtGraph:
        """Load a graph, as `backends.Backend.open` says.

        Raises:
            BundleError: ONNX Runtime cannot read the graph.
            BackendError: The session does not run where it should.
        """
        small = bool(spec.states) and spec.reads.total < SMALL
        options = session_options(1 if small else self._threads)
        # A pattern keeps a block of memory for each length that comes, and sounds have many.
        options.enable_mem_pattern = Path(spec.file).stem == FRAME
        if self._profiles is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(self._profiles / Path(spec.file).stem)
        session = load(folder / spec.file, options, "CPUExecutionProvider")
        return OrtGraph(session, spec, at_once=(self._threads or processors()) if small else 1)

    def open_frame(
        self, folder: Path, graphs: Mapping[str, GraphSpec], capacity: int
    ) -> FusedFrame:
        """Load the frame graph, as `backends.Backend.open_frame` says. Errors are `open`'s."""
        return FusedFrame(self.open(folder, graph_named(FRAME, graphs)), capacity)
