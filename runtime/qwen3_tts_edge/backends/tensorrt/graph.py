"""A graph on TensorRT that is launched by itself, on a stream of its own: the codec decoder."""

import time
from collections.abc import Mapping

from qwen3_tts_edge.backends import Array
from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.backends.tensorrt.engine import Engine
from qwen3_tts_edge.backends.tensorrt.memory import Block, Memory, States
from qwen3_tts_edge.bundle.graph_spec import GraphSpec, TensorSpec
from qwen3_tts_edge.errors import CapacityError


class TensorRTGraph:
    """An engine and its buffers. What runs on other streams goes on while it runs."""

    def __init__(self, cuda: Cuda, engine: Engine, sizes: Mapping[str, int]) -> None:
        """Take memory for the largest launch there may be.

        Raises:
            CapacityError: A size is beyond what the engine was built for.
        """
        self.seconds = 0.0
        self.most: Mapping[str, int] = check_sizes(engine, sizes)
        self._cuda = cuda
        self._engine = engine
        self._memory = Memory(cuda)
        self._stream = self._memory.stream()
        self._done = self._memory.event()
        self._context = engine.context(one_shape=False)
        spec = engine.spec
        self._inputs = Block(self._memory, _variable_last(spec, self.most), self.most)
        self._outputs = Block(self._memory, spec.outputs, self.most)
        self._states = States(self._memory, spec.states, engine.aliased, self.most, self._stream)
        self._turn = 0

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Launch once, as `backends.Graph.run` says."""
        start = time.perf_counter()
        sizes = dict(self.most)
        for tensor in self._engine.spec.inputs:
            named = zip(tensor.shape, inputs[tensor.name].shape, strict=True)
            sizes |= {axis: size for axis, size in named if isinstance(axis, str)}
        check_sizes(self._engine, sizes)
        for name in self._inputs.host:
            self._inputs.write(name, inputs[name])
        self._inputs.upload(sizes, self._stream)
        at = self._inputs.device | self._outputs.device | self._states.at(self._turn)
        self._context.enqueue(at, sizes, self._stream)
        self._outputs.download(sizes, self._stream)
        self._cuda.record(self._done, self._stream)
        self._cuda.wait(self._done)
        self._turn += 1
        self.seconds += time.perf_counter() - start
        outputs = self._engine.spec.outputs
        return {spec.name: self._outputs.read(spec.name, spec.sized(sizes)) for spec in outputs}

    def reset(self, *names: str) -> None:
        """Set states to zero, as `backends.Graph.reset` says."""
        self._states.clear(self._turn, self._stream, *names)

    def resized(self, sizes: Mapping[str, int]) -> "TensorRTGraph":
        """Share the engine, not the state, as `backends.Graph.resized` says."""
        return TensorRTGraph(self._cuda, self._engine, {**self.most, **sizes})


def check_sizes(engine: Engine, sizes: Mapping[str, int]) -> dict[str, int]:
    """All sizes of a launch: those asked for, and the engine's largest of the other axes.

    Raises:
        CapacityError: More is asked for than the engine was built for.
    """
    for name, most in engine.most.items():
        if sizes.get(name, 1) > most:
            raise CapacityError(
                f"{sizes[name]} {name} are asked for, the engines were built for at most {most}; "
                "ask for fewer at a time"
            )
    return {**engine.most, **sizes}


def _variable_last(spec: GraphSpec, sizes: Mapping[str, int]) -> list[TensorSpec]:
    """The inputs, the largest last: it is the one whose size varies."""
    return sorted(spec.inputs, key=lambda tensor: tensor.nbytes(sizes))
