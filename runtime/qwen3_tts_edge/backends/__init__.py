"""What runs graphs. A backend is one file here; no other room knows which one it has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.errors import BackendError
from qwen3_tts_edge.manifest import GraphSpec

Array = npt.NDArray[np.generic]
BACKENDS = ("auto", "ort-cpu")


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


def open_backend(name: str = "auto", *, threads: int | None = None) -> Backend:
    """The backend of that name; `auto` is the best one that is installed.

    Args:
        name: One of `BACKENDS`.
        threads: CPU threads a launch may use; None is one per physical core.

    Raises:
        BackendError: Unknown, or not installed.
    """
    if name not in BACKENDS:
        raise BackendError(f"backend {name!r} is unknown; choose one of {', '.join(BACKENDS)}")
    from qwen3_tts_edge.backends.ort import OrtBackend

    return OrtBackend(threads=threads)
