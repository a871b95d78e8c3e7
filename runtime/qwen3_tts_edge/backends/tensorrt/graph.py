"""A graph on TensorRT that is launched by itself, on a stream of its own: the codec decoder."""

import time
from collections.abc import Mapping

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends import State
from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.backends.tensorrt.engine import Engine
from qwen3_tts_edge.backends.tensorrt.memory import Block, Memory
from qwen3_tts_edge.backends.tensorrt.state import TensorRTState
from qwen3_tts_edge.bundle.graph_spec import GraphSpec, TensorSpec
from qwen3_tts_edge.errors import CapacityError


class TensorRTGraph:
    """An engine and its buffers. What runs on other streams goes on while it runs."""

    at_once = 1

    def __init__(self, cuda: Cuda, engine: Engine) -> None:
        """Take memory for the largest launch there may be."""
        self.seconds = 0.0
        self.most: Mapping[str, int] = engine.most
        self._cuda = cuda
        self._engine = engine
        self._memory = Memory(cuda)
        self._stream = self._memory.stream()
        self._done = self._memory.event()
        self._context = engine.context(one_shape=False)
        spec = engine.spec
        self._inputs = Block(self._memory, _variable_last(spec, self.most), self.most)
        self._outputs = Block(self._memory, spec.outputs, self.most)

    def state(self, slots: int = 1) -> TensorRTState:
        """Allocate what the graph carries, as `backends.Graph.state` says.

        Raises:
            CapacityError: More slots than the engine was built for.
        """
        sizes = check_sizes(self._engine, {"batch": slots})
        memory, specs = Memory(self._cuda, self._memory), self._engine.spec.states
        return TensorRTState.allocate(memory, self._stream, specs, self._engine.aliased, sizes)

    def run(self, inputs: Mapping[str, Array], state: State) -> dict[str, Array]:
        """Launch once, as `backends.Graph.run` says.

        Raises:
            CapacityError: A size is beyond what the engine was built for.
        """
        assert isinstance(state, TensorRTState)
        start = time.perf_counter()
        found = {"batch": state.slots}
        for tensor in self._engine.spec.inputs:
            named = zip(tensor.shape, inputs[tensor.name].shape, strict=True)
            found |= {axis: size for axis, size in named if isinstance(axis, str)}
        assert found["batch"] == state.slots
        sizes = check_sizes(self._engine, found)
        for name in self._inputs.host:
            self._inputs.write(name, inputs[name])
        self._inputs.upload(sizes, self._stream)
        at = self._inputs.device | self._outputs.device | state.enter()
        self._context.enqueue(at, sizes, self._stream)
        state.leave()
        self._outputs.download(sizes, self._stream)
        self._cuda.record(self._done, self._stream)
        self._cuda.wait(self._done)
        self.seconds += time.perf_counter() - start
        outputs = self._engine.spec.outputs
        return {spec.name: self._outputs.read(spec.name, spec.sized(sizes)) for spec in outputs}


def check_sizes(engine: Engine, sizes: Mapping[str, int]) -> dict[str, int]:
    """All sizes of a launch: those asked for, and the engine's largest of the other axes.

    Raises:
        CapacityError: More is asked for than the engine was built for.
    """
    for name, most in engine.most.items():
        if sizes.get(name, 1) > most:
            raise CapacityError(
                f"{sizes[name]} {name} are asked for, the engines were built for at most {most}",
                "ask for fewer at a time",
            )
    return {**engine.most, **sizes}


def _variable_last(spec: GraphSpec, sizes: Mapping[str, int]) -> list[TensorSpec]:
    """The inputs, the largest last: it is the one whose size varies."""
    return sorted(spec.inputs, key=lambda tensor: tensor.nbytes(sizes))
