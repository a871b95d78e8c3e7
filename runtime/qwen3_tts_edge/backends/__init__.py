"""What runs graphs: a folder for each library. No other room knows which of them it has."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from typing_extensions import Self

from qwen3_tts_edge.arrays import Array, is_whole
from qwen3_tts_edge.backends.processors import processors
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.bundle.names import COMPAT, CUDA, ORT, TRT
from qwen3_tts_edge.errors import BackendError, InputError, quoted

AUTO, ORT_CPU, ORT_CUDA, OPENVINO = "auto", "ort-cpu", "ort-cuda", "openvino"
FLAVOURS: Mapping[str, tuple[str, ...]] = {
    ORT_CUDA: (CUDA,),
    OPENVINO: (ORT,),
    ORT_CPU: (ORT,),
    "tensorrt": (TRT, COMPAT),
    "tensorrt-rtx": (TRT, COMPAT),
}
"""The bundles that each backend runs, first those it is best at; the best backends first."""
BACKENDS = (AUTO, *sorted(FLAVOURS))
ON_THE_CPU = (ORT_CPU, OPENVINO)

SMALL = 64 << 20
"""Bytes of weights that a launch reads. With less its threads wait longer for each other than they
work: it has one, and others run beside it."""


class State(Protocol):
    """What a graph carries from launch to launch, for some slots.

    A tensor of it is (slots, ...), so one slot, or the first few, are the same buffers at another
    address. Zero when it is made.

    Attributes:
        slots: How many.
    """

    slots: int

    def view(self, first: int, slots: int = 1) -> Self:
        """Give some of the slots: the same buffers, no copy."""
        ...

    def clear(self, *names: str) -> None:
        """Set tensors to zero: those whose past is named, or all."""
        ...

    def copy(self, other: "State", positions: int | None = None) -> None:
        """Take over what a state of as many slots carries.

        Args:
            other: Of the same graph.
            positions: How much of a KV cache; None is all, where both have the same capacity.
        """
        ...

    def arrays(self) -> dict[str, Array]:
        """Give what it carries, by the names of the pasts: copies, in the types that store them."""
        ...

    def fill(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `arrays` gave, of as many slots of the same graph."""
        ...


class Graph(Protocol):
    """A graph and its weights, ready to launch.

    Attributes:
        most: The largest sizes of axes that have a limit.
        at_once: Launches that may run at once, each with a state and in a thread of its own.
    """

    most: Mapping[str, int]
    at_once: int

    @property
    def seconds(self) -> float:
        """Time spent inside launches since the graph was opened."""
        ...

    def state(self, slots: int = 1) -> State:
        """Allocate what the graph carries, for so many slots."""
        ...

    def run(self, inputs: Mapping[str, Array], state: State) -> dict[str, Array]:
        """Launch once: inputs by name in, outputs by name out, the state moved on by one launch.

        The arrays returned are the caller's to keep.
        """
        ...


class FrameGraph(Protocol):
    """What makes a frame, as one graph or several.

    Attributes:
        ahead: Frames that may be launched before the codes of one are read.
        capacity: Positions of a slot's KV cache.
        slots: The most that a launch may have; None is any number.
    """

    ahead: int
    capacity: int
    slots: int | None

    @property
    def seconds(self) -> float:
        """Time spent in launching and waiting since the graph was opened."""
        ...

    def state(self, slots: int, positions: int | None = None) -> State:
        """Allocate what the frame carries.

        Args:
            slots: How many may be launched together.
            positions: Of the KV cache; None is `capacity`, fewer are for a state that is only
                copied from and to.
        """
        ...

    def launch(self, inputs: Mapping[str, Array], state: State) -> Callable[[], Array]:
        """Launch a frame: inputs by name in, the state moved on by one frame.

        Rows of several positions at once, a prompt, come for one slot alone. A slot of `length` 0
        rests: its codes mean nothing and its state stays.

        Returns:
            What waits for its codes and returns them, int64 (slots, codebooks), the caller's to
            keep. It is to be called before more than `ahead` other frames are launched, or never.
        """
        ...


class Backend(Protocol):
    """Opens graphs of a bundle.

    Attributes:
        name: One of `BACKENDS`.
        side_by_side: Whether a thread may open a graph while another opens one.
    """

    name: str
    side_by_side: bool

    def open(self, folder: Path, spec: GraphSpec) -> Graph:
        """Load a graph.

        Args:
            folder: The bundle.
            spec: The graph, from the manifest.
        """
        ...

    def open_frame(
        self, folder: Path, graphs: Mapping[str, GraphSpec], capacity: int
    ) -> FrameGraph:
        """Load what makes a frame.

        Args:
            folder: The bundle.
            graphs: Its graphs, from the manifest.
            capacity: Positions of the KV cache that are wanted; what it is stands in the result.
        """
        ...


def open_backend(
    name: str = AUTO,
    *,
    flavour: str = ORT,
    threads: int | None = None,
    codec: GraphSpec | None = None,
) -> Backend:
    """The backend of that name; `auto` is the one that the bundle was exported for.

    Args:
        name: One of `BACKENDS`.
        flavour: Of the bundle, from its manifest.
        threads: CPU threads that work at once; None is one per physical core.
        codec: The codec decoder of the bundle, if it is to be opened.

    Raises:
        BackendError: Unknown, not installed, or for bundles of another flavour.
        InputError: `threads` is no number of processors that there are.
    """
    check_threads(threads)
    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise BackendError(f"backend {quoted(name)} is unknown", f"choose one of {known}")
    if name == AUTO:
        name = automatic(flavour, codec)
    elif flavour not in FLAVOURS[name]:
        raise BackendError(
            f"the bundle's flavour is {flavour}, {name} runs {' and '.join(FLAVOURS[name])}",
            f"use the backend {automatic(flavour, codec)}, or export the checkpoint with "
            f"--flavour {FLAVOURS[name][0]}",
        )
    if name == ORT_CUDA:
        from qwen3_tts_edge.backends.ort.cuda import OrtCudaBackend

        return OrtCudaBackend(threads=threads)
    if name == ORT_CPU:
        from qwen3_tts_edge.backends.ort.cpu import OrtBackend

        return OrtBackend(threads=threads)
    if name == OPENVINO:
        from qwen3_tts_edge.backends.openvino.backend import OpenVinoBackend

        return OpenVinoBackend(threads=threads)
    from qwen3_tts_edge.backends.tensorrt.backend import TensorRTBackend

    return TensorRTBackend(name, threads=threads)


def check_threads(threads: object) -> None:
    """Refuse more threads than processors: they spin, and nothing else gets a turn.

    Raises:
        InputError: They are more, or no number of threads.
    """
    most = processors()
    if threads is not None and not (is_whole(threads) and 1 <= threads <= most):
        raise InputError.of("threads", threads, f"a whole number from 1 to {most}, the processors")


def automatic(flavour: str, codec: GraphSpec | None = None) -> str:
    """The backend that `auto` is for bundles of a flavour, and for their codec decoder.

    Raises:
        BackendError: None runs them.
    """
    fitting = [backend for backend, flavours in FLAVOURS.items() if flavour in flavours]
    if not fitting:
        raise BackendError(
            f"no backend of this version runs bundles of the flavour {flavour!r}",
            "update, or export the checkpoint again",
        )
    return next((each for each in fitting if _is_best(each, codec)), fitting[0])


def _is_best(backend: str, codec: GraphSpec | None) -> bool:
    """Of two libraries that run the same bundles, usually one is installed.

    OpenVINO is for codecs whose products are large, on CPUs that have them in bfloat16.
    """
    if backend == OPENVINO:
        from qwen3_tts_edge.backends.openvino import library

        return codec is not None and codec.reads.total >= SMALL and library.pays()
    return not backend.startswith("tensorrt") or find_spec(backend.replace("-", "_")) is not None
