"""ONNX Runtime on an NVIDIA GPU: a frame, and a chunk of samples, is one captured CUDA graph."""

import itertools
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwen3_tts_edge.backends import ORT_CUDA
from qwen3_tts_edge.backends.ort.install import CUDA, INSTALL, cuda_lack, import_error
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.bundle.manifest import FRAME, graph_named
from qwen3_tts_edge.errors import BackendError, BundleError, reason

try:
    import onnxruntime as ort
    from onnxruntime import InferenceSession  # noqa: F401
except ImportError as error:
    raise import_error(error, INSTALL) from error

from qwen3_tts_edge.backends.ort.cuda_memory import CudaMemory
from qwen3_tts_edge.backends.ort.frame import FusedFrame
from qwen3_tts_edge.backends.ort.graph import UNCAPTURED, Binding, OrtGraph
from qwen3_tts_edge.backends.ort.session import load, session_options
from qwen3_tts_edge.backends.ort.state import OrtState

_SETTINGS = {
    # Products in TF32 would make of an fp32 bundle something else than was exported.
    "use_tf32": "0",
    # Each chunk size is a shape of its own; trying all algorithms on each would be heard.
    "cudnn_conv_algo_search": "HEURISTIC",
}
_CAPTURED = {"rows": 1, "frames": 16}
"""The longest inputs whose launches are captured, by axis. A prompt's length is seldom met again;
a longer chunk is over a second of sound, in which launching its nodes one by one is nothing."""
_NAMED = 8
_numbers = itertools.count(1)
"""Of captured graphs. 0 is what ONNX Runtime takes where none is given."""


class OrtCudaBackend:
    """Opens graphs on the GPU that CUDA counts first; `CUDA_VISIBLE_DEVICES` says which it is."""

    name = ORT_CUDA
    side_by_side = False

    def __init__(self, *, threads: int | None = None) -> None:
        """Look for what is needed.

        Raises:
            BackendError: Something is missing; says what, and what brings it.
        """
        lack = cuda_lack()
        if lack is not None:
            raise lack
        self._threads = threads

    def open(self, folder: Path, spec: GraphSpec) -> OrtGraph:
        """Load a graph, as `backends.Backend.open` says; its states will lie on the GPU.

        A graph with a state, which is launched over and over, is captured. ONNX Runtime refuses
        that if anything is copied between GPU and CPU inside; what it may compute on the CPU are
        shapes, and of those a replay has the results of the capture.

        Raises:
            BundleError: ONNX Runtime cannot read the graph.
            BackendError: CUDA does not start, or does not run all of a graph that is captured.

        Source: AreAllComputeNodesAssignedToEpOrCpu in onnxruntime/core/session/
            inference_session.cc; https://github.com/microsoft/onnxruntime/pull/16491.
        """
        path, settings = folder / spec.file, dict(_SETTINGS)
        has_cache = any("capacity" in state.past.shape for state in spec.states)
        if spec.rounding is not None and not has_cache:
            # Where TF32 is not allowed, a convolution in float16 is denied tensor cores as well.
            settings["use_tf32"] = "1"
        if not spec.states:
            session = load(path, session_options(self._threads), (CUDA, settings))
            return OrtGraph(session, spec, CudaMemory())
        options, settings = session_options(self._threads), {**settings, "enable_cuda_graph": "1"}
        try:
            session = load(path, options, (CUDA, settings))
        except BundleError as error:
            nodes = _on_the_cpu(path)
            if not nodes:
                raise
            raise BackendError(
                f"{path} has {len(nodes)} nodes that CUDA does not run: "
                f"{', '.join(nodes[:_NAMED])}{', …' * (len(nodes) > _NAMED)} ({reason(error)})",
                "export the checkpoint with --flavour cuda, for what is captured must stay on the "
                "GPU",
            ) from error
        return CapturedGraph(session, spec, CudaMemory())

    def open_frame(
        self,
        folder: Path,
        graphs: Mapping[str, GraphSpec],
        capacity: int,
        *,
        captured: bool = True,
    ) -> FusedFrame:
        """Load the frame graph, as `backends.Backend.open_frame` says. Errors are `open`'s.

        Args:
            folder: The bundle.
            graphs: Its graphs.
            capacity: Positions of the KV cache.
            captured: False launches each kernel by itself, to see what capturing saves.
        """
        graph = self.open(folder, graph_named(FRAME, graphs))
        assert isinstance(graph, CapturedGraph)
        graph.captures = captured
        return FusedFrame(graph, capacity, captured=captured)


class CapturedGraph(OrtGraph):
    """A graph whose launches are captured as CUDA graphs, one for each size, and then replayed.

    Where `captures` is False none is; that is for who measures.

    ONNX Runtime captures by launching several times: to allocate, to record, and to have run. A
    state that is updated in place would move on with each, so it is put back, and the captured
    graph runs once more. That holds for all but the KV cache, where every launch writes the same
    positions again. What is captured belongs to the thread that did it; meanwhile no other may
    allocate on the GPU.

    A size is captured when it is first met. To launch it node by node first would plan it twice: a
    convolution keeps cuDNN's plan of the last size alone, and a replay needs none. What is
    captured stays until the session ends: CUDA's provider of 1.31 keeps it even if told to release
    it, so there is a limit to sizes and not a number of those used last.

    Source: CUDAExecutionProvider::OnRunEnd, CUDAGraphManager, InferenceSession::RunImpl and
        Conv::UpdateState of ONNX Runtime; https://github.com/microsoft/onnxruntime/issues/32243.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.captures = True
        self._thread = _Thread()

    def _graph_number(self, sizes: Mapping[str, int], state: OrtState) -> int:
        if not self.captures or any(
            sizes.get(axis, 0) > longest for axis, longest in _CAPTURED.items()
        ):
            return UNCAPTURED
        number = next(_numbers)
        release = self._session.release_captured_graph
        weakref.finalize(state.shared, release, number).atexit = False
        return number

    def _launch(self, binding: Binding, state: OrtState) -> None:
        options = ort.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(binding.graph))
        if binding.graph == UNCAPTURED or binding.graph in self._thread.captured:
            self._session.run_with_iobinding(binding.io, options)
            return
        carried = [
            (state.past(each), each.past.nbytes(state.sizes))
            for each in self.spec.states
            if self.spec.in_place and "capacity" not in each.past.shape
        ]
        aside = [self._memory.allocate(nbytes) for _, nbytes in carried]
        kept = [(to, at, size) for (to, _), (at, size) in zip(aside, carried, strict=True)]
        self._memory.copy(kept)
        try:
            self._session.run_with_iobinding(binding.io, options)
        except Exception as error:  # ONNX Runtime's own exceptions share no other parent
            raise BackendError(
                f"ONNX Runtime {ort.__version__} cannot capture {self.spec.file} as a CUDA "
                f"graph: {reason(error)}"
            ) from error
        self._thread.captured.add(binding.graph)
        if carried:
            self._memory.copy((at, to, size) for to, at, size in kept)
            self._session.run_with_iobinding(binding.io, options)


class _Thread(threading.local):
    """What this thread has captured."""

    def __init__(self) -> None:
        self.captured: set[int] = set()


def _on_the_cpu(path: Path) -> list[str]:
    """The nodes that ONNX Runtime would run on the CPU, as `Type name`.

    Raises:
        BundleError: ONNX Runtime cannot read the graph at all.
        BackendError: CUDA does not start.
    """
    options = session_options(None)
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = load(path, options, (CUDA, _SETTINGS))
    return [
        f"{node.op_type} {node.name}"
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name == "CPUExecutionProvider"
        for node in part.get_nodes()
    ]
