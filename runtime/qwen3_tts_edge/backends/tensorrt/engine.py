"""Plans → engines → launches: the little that is asked of TensorRT, or of TensorRT-RTX.

Both have one interface under two names. A launch is given every tensor's address and the sizes of
the axes, and is asynchronous; who owns the memory and what order there is, is said elsewhere.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qwen3_tts_edge.backends.tensorrt.library import DTYPES, import_library, make_logger
from qwen3_tts_edge.bundle.engines import AxisRange
from qwen3_tts_edge.bundle.graph_spec import GraphSpec, TensorSpec
from qwen3_tts_edge.errors import BackendError, BundleError


class Library:
    """TensorRT or TensorRT-RTX, imported.

    Attributes:
        name: Of the module.
        version: Of the library.
        module: The module itself.
        errors: What it has complained of, for the next error to say.
    """

    def __init__(self, name: str) -> None:
        """Import it.

        Raises:
            BackendError: It is not installed.
        """
        module = import_library(name)
        self.name = name
        self.version: str = module.__version__
        self.module = module
        self.errors: list[str] = []
        self._logger = make_logger(module, self.errors)
        self._runtime = module.Runtime(self._logger)

    def load(self, plan: Path, spec: GraphSpec, axes: Mapping[str, AxisRange]) -> "Engine":
        """Make a plan ready to run.

        Args:
            plan: Its file.
            spec: The graph that it was built from.
            axes: The sizes that it was built for.

        Raises:
            BundleError: The library cannot read it, or it is of another graph.
        """
        engine = self._runtime.deserialize_cuda_engine(plan.read_bytes())
        if engine is None:
            raise BundleError(
                f"{plan} cannot be loaded by {self.name} {self.version}{self.complaints()}",
                "build the engines again",
            )
        return Engine(self, engine, plan, spec, axes)

    def complaints(self) -> str:
        """What the library has said since it was last asked, as a part of a message."""
        said = "; ".join(self.errors)
        self.errors.clear()
        return said and f": {said}"


class Engine:
    """A graph ready to run.

    Attributes:
        spec: What goes in and out.
        most: The largest size of each named axis.
        aliased: The presents that are written onto their past, and need its address.
    """

    def __init__(
        self,
        library: Library,
        engine: Any,
        plan: Path,
        spec: GraphSpec,
        axes: Mapping[str, AxisRange],
    ) -> None:
        """Check an engine against the manifest.

        Raises:
            BundleError: It has other tensors.
        """
        self.spec = spec
        self.most = {name: axis.most for name, axis in axes.items()}
        self._library = library
        self._engine = engine
        self._plan = plan
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        dtypes = {name: engine.get_tensor_dtype(name).name for name in names}
        found = {name: DTYPES.get(dtype, dtype) for name, dtype in dtypes.items()}
        expected = {name: tensor.dtype for name, tensor in _tensors(spec)}
        if found != expected:
            differing = sorted(dict(found.items() ^ expected.items()))
            raise BundleError(
                f"{plan} and the manifest differ in {', '.join(differing)}",
                "build the engines again",
            )
        # Before 10.15 nothing was aliased, and nobody could ask.
        alias = getattr(engine, "get_aliased_input_tensor", lambda _: None)
        self.aliased = frozenset(s.present for s in spec.states if alias(s.present) == s.past.name)

    def context(self, *, one_shape: bool) -> "Context":
        """What launches. A captured graph belongs to the context that it was captured from.

        Args:
            one_shape: Whether it will see no second shape. TensorRT-RTX compiles kernels for a
                shape while others run already; here it shall have done so when it is captured.
        """
        strategy = getattr(self._library.module, "DynamicShapesKernelSpecializationStrategy", None)
        if strategy is None or not one_shape:
            context = self._engine.create_execution_context()
        else:
            config = self._engine.create_runtime_config()
            config.dynamic_shapes_kernel_specialization_strategy = strategy.EAGER
            context = self._engine.create_execution_context(config)
        if context is None:
            raise BackendError(
                f"{self._plan} has no room on the GPU{self._library.complaints()}",
                "close what else uses its memory, or build engines for shorter speech",
            )
        return Context(context, self)

    def fail(self, what: str) -> BackendError:
        """The error of a launch."""
        return BackendError(
            f"{self._plan}: {self._library.name} refused {what}{self._library.complaints()}",
            "build the engines again, and if it recurs, report it",
        )


class Context:
    """An engine with the intermediate results of one launch at a time."""

    def __init__(self, context: Any, engine: Engine) -> None:
        self._context = context
        self._engine = engine

    def enqueue(self, at: Mapping[str, int], sizes: Mapping[str, int], stream: int) -> None:
        """Launch on a stream, or let the stream capture it.

        Args:
            at: The address of every tensor.
            sizes: Of the named axes.
            stream: Where.

        Raises:
            BackendError: TensorRT refuses; says why.
        """
        spec = self._engine.spec
        for tensor in (*spec.inputs, *(state.past for state in spec.states)):
            shape = tensor.sized(sizes)
            if not self._context.set_input_shape(tensor.name, shape):
                raise self._engine.fail(f"{tensor.name} of shape {shape}")
        for name, _ in _tensors(spec):
            if not self._context.set_tensor_address(name, at[name]):
                raise self._engine.fail(f"an address for {name}")
        if not self._context.execute_async_v3(stream):
            raise self._engine.fail("a launch")


def _tensors(spec: GraphSpec) -> Iterator[tuple[str, TensorSpec]]:
    """Every tensor of a graph, by name."""
    for tensor in (*spec.inputs, *spec.outputs):
        yield tensor.name, tensor
    for state in spec.states:
        yield state.past.name, state.past
        yield state.present, state.past
