"""What runs graphs. A backend is one file here; no other room knows which one it has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.errors import BackendError
from qwen3_tts_edge.manifest import GraphSpec

Array = npt.NDArray[np.generic]
FLAVOURS: Mapping[str, tuple[str, ...]] = {"ort-cuda": ("cuda",), "ort-cpu": ("ort", "cuda")}
"""The bundles that each backend runs, first those it is best at; the best backends first."""
BACKENDS = ("auto", *sorted(FLAVOURS))


class Graph(Protocol):
    """A graph with its state: buffers allocated once, past and present bound once.

    Attributes:
        seconds: Time spent inside launches since the graph was opened.
    """

    seconds: float

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Launch once: inputs by name in, outputs by name out, state moved on by one launch.

        The arrays returned are the caller's to keep.
        """
        ...

    def reset(self, *names: str) -> None:
        """Set states to zero: those whose past is named, or all."""
        ...

    def resized(self, sizes: Mapping[str, int]) -> Self:
        """The same graph and weights with a state of its own, of other sizes."""
        ...


class Backend(Protocol):
    """Opens graphs of a bundle."""

    name: str

    def open(self, folder: Path, spec: GraphSpec, sizes: Mapping[str, int]) -> Graph:
        """Load a graph and allocate its state.

        Args:
            folder: The bundle.
            spec: The graph, from the manifest.
            sizes: The axes of the states: batch, and capacity where there is one.
        """
        ...


def open_backend(
    name: str = "auto", *, flavour: str = "ort", threads: int | None = None
) -> Backend:
    """The backend of that name; `auto` is the one that the bundle was exported for.

    Args:
        name: One of `BACKENDS`.
        flavour: Of the bundle, from its manifest.
        threads: CPU threads a launch may use; None is one per physical core.

    Raises:
        BackendError: Unknown, not installed, or for bundles of another flavour.
    """
    if name not in BACKENDS:
        raise BackendError(f"backend {name!r} is unknown; choose one of {', '.join(BACKENDS)}")
    fitting = [backend for backend, flavours in FLAVOURS.items() if flavour in flavours]
    if not fitting:
        raise BackendError(
            f"no backend of this version runs bundles of the flavour {flavour!r}; update, or "
            "export the checkpoint again"
        )
    if name == "auto":
        name = fitting[0]
    elif name not in fitting:
        raise BackendError(
            f"the bundle's flavour is {flavour}, {name} runs {' and '.join(FLAVOURS[name])}; use "
            f"the backend {' or '.join(fitting)}, or export the checkpoint with --flavour "
            f"{FLAVOURS[name][0]}"
        )
    if name == "ort-cuda":
        from qwen3_tts_edge.backends.ort_cuda import OrtCudaBackend

        return OrtCudaBackend(threads=threads)
    from qwen3_tts_edge.backends.ort import OrtBackend

    return OrtBackend(threads=threads)
