"""The frame as one fused graph, for backends that launch it and wait for its codes."""

from collections.abc import Callable, Mapping

import numpy as np

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends import State
from qwen3_tts_edge.backends.ort.graph import OrtGraph
from qwen3_tts_edge.backends.ort.state import OrtState
from qwen3_tts_edge.bundle.manifest import TOTAL


class FusedFrame:
    """The graph `frame` as a `backends.FrameGraph`."""

    ahead = 0
    slots: int | None = None

    def __init__(self, graph: OrtGraph, capacity: int, *, captured: bool = False) -> None:
        """Take a graph.

        Args:
            graph: The graph `frame`.
            capacity: Positions of the KV cache.
            captured: Whether launches of one row are replayed: then `total`, which a replay has
                from its capture, is the capacity.
        """
        self.capacity = capacity
        self._graph = graph
        self._captured = captured

    @property
    def seconds(self) -> float:
        """Time spent in launches."""
        return self._graph.seconds

    def state(self, slots: int, positions: int | None = None) -> OrtState:
        """Allocate what the frame carries, as `backends.FrameGraph.state` says."""
        return self._graph.state(slots, capacity=positions or self.capacity)

    def launch(self, inputs: Mapping[str, Array], state: State) -> Callable[[], Array]:
        """Run the graph, as `backends.FrameGraph.launch` says."""
        assert isinstance(state, OrtState)
        rows = inputs["rows"].shape[1]
        total = state.sizes["capacity"]
        if rows > 1 or not self._captured:
            total = int(inputs["position"].max()) + rows
        given = {**inputs, TOTAL: np.array([total])}
        codes = self._graph.run(given, state)["codes"]
        return lambda: codes
