"""TensorRT without a GPU: engines that compute in Python, on the memory of a fake GPU.

A launch reads and writes the addresses that were set, when the stream comes to it. The engines
insist on what TensorRT insists on, and on what it only documents.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from fake_gpu import ALIGNMENT, FakeGpu
from qwen3_tts_edge.bundle.engines import (
    FOLDER,
    AxisRange,
    EngineKey,
    Engines,
    graphs_hash,
    plan_file,
)
from qwen3_tts_edge.bundle.graph_spec import GraphSpec, TensorSpec
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.own_files import FileSpec

Arrays = dict[str, np.ndarray]
Compute = Callable[[Arrays], Arrays]
VERSION = "10.16.1"
_NAMES = {"float32": "FLOAT", "float16": "HALF", "bfloat16": "BF16"}
_NAMES |= {"int32": "INT32", "int64": "INT64", "bool": "BOOL"}


class Plan(msgspec.Struct):
    """What stands in a fake plan."""

    graph: str
    spec: GraphSpec
    axes: dict[str, AxisRange]
    aliased: tuple[str, ...] = ()
    dtypes: dict[str, str] = {}


class FakeTensorRT(ModuleType):
    """Stands for the module `tensorrt` or `tensorrt_rtx`.

    Attributes:
        computes: What the engine of each graph does.
        launches: (graph, stream, captured) of every launch, in order.
        refuses: Method names of a context that shall fail.
    """

    def __init__(self, name: str, gpu: FakeGpu, computes: Mapping[str, Compute]) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)
        self.__version__ = VERSION
        self.gpu = gpu
        self.computes = computes
        self.launches: list[tuple[str, int, bool]] = []
        self.refuses: set[str] = set()
        self.contexts: list[Context] = []
        self.knows_aliases = True
        self.ILogger = type("ILogger", (), {"ERROR": 1, "__init__": lambda _: None})
        if name == "tensorrt_rtx":
            strategies = SimpleNamespace(LAZY="lazy", EAGER="eager")
            self.DynamicShapesKernelSpecializationStrategy = strategies

    def Runtime(self, logger: Any) -> SimpleNamespace:  # noqa: N802
        self.logger = logger
        return SimpleNamespace(deserialize_cuda_engine=self._deserialize)

    def complain(self, text: str) -> None:
        self.logger.log(3, "a remark")
        self.logger.log(self.ILogger.ERROR, text)

    def _deserialize(self, plan: bytes) -> "Engine | None":
        try:
            return Engine(self, msgspec.json.decode(plan, type=Plan))
        except msgspec.DecodeError:
            self.complain("magic tag does not match")
            return None


class Engine:
    """An engine of a fake plan."""

    def __init__(self, library: FakeTensorRT, plan: Plan) -> None:
        self.library, self.plan = library, plan
        spec = plan.spec
        pasts = [state.past for state in spec.states]
        self.inputs = {tensor.name: tensor for tensor in (*spec.inputs, *pasts)}
        self.outputs = {tensor.name: tensor for tensor in spec.outputs}
        self.outputs |= {state.present: state.past for state in spec.states}
        self.aliases = {s.present: s.past.name for s in spec.states if s.present in plan.aliased}
        self.num_io_tensors = len(self.inputs) + len(self.outputs)
        if library.knows_aliases:
            self.get_aliased_input_tensor = self.aliases.get

    def get_tensor_name(self, index: int) -> str:
        return [*self.inputs, *self.outputs][index]

    def get_tensor_dtype(self, name: str) -> SimpleNamespace:
        spec = (self.inputs | self.outputs)[name]
        return SimpleNamespace(name=_NAMES[self.plan.dtypes.get(name, spec.dtype)])

    def create_runtime_config(self) -> SimpleNamespace:
        return SimpleNamespace(dynamic_shapes_kernel_specialization_strategy="lazy")

    def create_execution_context(self, config: SimpleNamespace | None = None) -> "Context | None":
        if "create_execution_context" in self.library.refuses:
            self.library.complain("out of memory")
            return None
        eager = config is not None and (
            config.dynamic_shapes_kernel_specialization_strategy == "eager"
        )
        context = Context(self, eager=eager)
        self.library.contexts.append(context)
        return context


class Context:
    """What launches an engine."""

    def __init__(self, engine: Engine, *, eager: bool) -> None:
        self.graph, self.eager = engine.plan.graph, eager
        self._engine, self._library = engine, engine.library
        self._gpu = engine.library.gpu
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._settled: dict[str, tuple[int, ...]] = {}
        self._captured: dict[str, tuple[int, ...]] | None = None

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        spec = self._engine.inputs[name]
        assert len(shape) == len(spec.shape)
        for axis, size in zip(spec.shape, shape, strict=True):
            if isinstance(axis, int):
                assert size == axis, f"{name} is {shape}, the graph says {spec.shape}"
            else:
                allowed = self._engine.plan.axes[axis]
                assert allowed.least <= size <= allowed.most, f"{axis} is {size}, not {allowed}"
        self._shapes[name] = tuple(shape)
        return self._allowed("set_input_shape")

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert name in self._engine.inputs | self._engine.outputs
        assert self._gpu.is_device(address)
        assert address % ALIGNMENT == 0, f"{name} is at {address:#x}"
        self._addresses[name] = address
        return self._allowed("set_tensor_address")

    def execute_async_v3(self, stream: int) -> bool:
        if not self._allowed("execute_async_v3"):
            return False
        assert self._shapes.keys() == self._engine.inputs.keys()
        shapes, addresses = dict(self._shapes), dict(self._addresses)
        capturing = self._gpu.is_capturing(stream)
        if self._captured is not None:
            assert shapes == self._captured, "a captured graph knows one shape of its context"
        if capturing:
            assert shapes == self._settled, "captured before a launch of this shape had settled it"
            self._captured = shapes
        self._settled = shapes
        sizes = self._sizes(shapes)
        self._check_places(addresses, sizes)
        self._library.launches.append((self.graph, stream, capturing))
        self._gpu.launch_on(stream, lambda: self._compute(addresses, sizes))
        return True

    def _allowed(self, name: str) -> bool:
        if name in self._library.refuses:
            self._library.complain(f"{name} is refused")
            return False
        return True

    def _sizes(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for name, spec in self._engine.inputs.items():
            for axis, size in zip(spec.shape, shapes[name], strict=True):
                if isinstance(axis, str):
                    assert sizes.setdefault(axis, size) == size, f"{axis} is not one size"
        return sizes

    def _check_places(self, addresses: Mapping[str, int], sizes: Mapping[str, int]) -> None:
        tensors = self._engine.inputs | self._engine.outputs
        assert addresses.keys() == tensors.keys()
        spans = {name: (at, at + tensors[name].nbytes(sizes)) for name, at in addresses.items()}
        for name, (start, end) in spans.items():
            self._gpu.view(start, end - start)
            if name in self._engine.inputs:
                continue
            alias = self._engine.aliases.get(name)
            if alias is not None:
                assert addresses[alias] == start, f"{name} is written onto {alias}"
            for other, (first, last) in spans.items():
                apart = end <= first or last <= start
                assert apart or other in (name, alias), f"{name} is written over {other}"

    def _compute(self, addresses: Mapping[str, int], sizes: Mapping[str, int]) -> None:
        found = {
            name: self._at(addresses[name], spec, sizes).copy()
            for name, spec in self._engine.inputs.items()
        }
        made = self._library.computes[self.graph](found)
        for name, spec in self._engine.outputs.items():
            place = self._at(addresses[name], spec, sizes)
            assert (made[name].shape, made[name].dtype) == (place.shape, place.dtype), name
            place[...] = made[name]

    def _at(self, address: int, spec: TensorSpec, sizes: Mapping[str, int]) -> np.ndarray:
        content = self._gpu.view(address, spec.nbytes(sizes))
        return content.view(spec.stored).reshape(spec.sized(sizes))


def install(monkeypatch: pytest.MonkeyPatch, library: FakeTensorRT) -> None:
    """Let the import find it."""
    monkeypatch.setitem(sys.modules, library.__name__, library)


def kv_cache(spec: GraphSpec) -> tuple[str, ...]:
    """What TensorRT writes in place: the presents of a KV cache in flavour trt."""
    return tuple(s.present for s in spec.states if "key_values" in s.past.name)


def write_plan(path: Path, plan: Plan) -> FileSpec:
    content = msgspec.json.encode(plan)
    path.write_bytes(content)
    return FileSpec(size=len(content), sha256=hashlib.sha256(content).hexdigest())


def write_engines(
    bundle: Path,
    *,
    capacity: int = 96,
    library: str = "tensorrt",
    aliased: bool = True,
    most: Mapping[str, int] | None = None,
    **key: Any,
) -> Path:
    """Write fake engines into a bundle, as `qwen3-tts-export engines` does."""
    manifest = Manifest.load(bundle)
    found = {"library": library, "version": VERSION, "capabilities": ("sm_89",), "gpu": "Fake GPU"}
    found |= {"graphs": graphs_hash(manifest)} | key
    sizes = {"batch": 8, "rows": 256, "frames": 8} | dict(most or {})
    axes = {name: AxisRange(least=1, best=1, most=size) for name, size in sizes.items()}
    axes["capacity"] = AxisRange(least=capacity, best=capacity, most=capacity)
    folder = bundle / FOLDER / f"{library}-{found['version']}"
    folder.mkdir(parents=True)
    plans = {}
    for name in ("talker_step", "predictor_step", "codec_decoder"):
        spec = manifest.graphs[name]
        inside = kv_cache(spec) if aliased else ()
        plan = Plan(graph=name, spec=spec, axes=axes, aliased=inside)
        plans[name] = write_plan(plan_file(folder, name), plan)
    Engines(key=EngineKey(**found), axes=axes, plans=plans).save(folder)
    return folder
