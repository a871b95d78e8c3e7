"""The frame as one fused graph, for backends that launch it and wait for its codes."""

from collections.abc import Callable, Mapping

from qwen3_tts_edge.backends import Array, Graph


class FusedFrame:
    """The graph `frame` as a `backends.FrameGraph`."""

    ahead = 0

    def __init__(self, graph: Graph, capacity: int) -> None:
        self.capacity = capacity
        self._graph = graph

    @property
    def seconds(self) -> float:
        """Time spent in launches."""
        return self._graph.seconds

    def launch(self, inputs: Mapping[str, Array]) -> Callable[[], Array]:
        """Run the graph, as `backends.FrameGraph.launch` says."""
        codes = self._graph.run(inputs)["codes"]
        return lambda: codes

    def begin(self) -> None:
        """Start an utterance in every slot, as `backends.FrameGraph.begin` says."""
        self._graph.reset("past.feedback", "past.seen")

    def resized(self, slots: int) -> "FusedFrame":
        """Share the graph, not the state, as `backends.FrameGraph.resized` says."""
        return FusedFrame(self._graph.resized({"batch": slots}), self.capacity)
