"""Where ONNX Runtime would run each node of a graph with its CUDA provider, without a GPU.

Sources, in ONNX Runtime: docs/OperatorKernels.md for the kernels, their versions and types;
`InputMemoryType` and `OutputMemoryType` of their registrations for what lies in CPU memory;
core/framework/kernel_registry.cc for which kernel serves which version; and
core/framework/fallback_cpu_capability.cc for the nodes that are drawn to the CPU by their inputs.
"""

from dataclasses import dataclass

import onnx
from onnx import TensorProto

CONTRIB = "com.microsoft"
SMALL = 100
"""Elements of an initializer that may be drawn to the CPU with a node."""

_FLOATS = "float float16 bfloat16"
_WHOLE = "int32 int64"
_ALL = f"{_FLOATS} {_WHOLE} bool int8 uint8"


@dataclass(frozen=True)
class Kernel:
    """A kernel of the CUDA provider.

    Attributes:
        types: Of its first input.
        since: The version of the operation that it is for.
        until: The last one, where it is for several; None is that one alone.
        host: Inputs that it reads in CPU memory.
    """

    types: str
    since: int
    until: int | None = None
    host: tuple[int, ...] = ()

    def serves(self, version: int) -> bool:
        return version == self.since or (
            self.until is not None and self.since <= version <= self.until
        )


KERNELS: dict[str, list[Kernel]] = {
    "Add": [Kernel(f"{_FLOATS} {_WHOLE}", 14)],
    "And": [Kernel("bool", 7)],
    "Cast": [Kernel(_ALL, 23), Kernel(_ALL, 13, 18)],
    "Clip": [Kernel("float float16 int64", 13)],
    "Concat": [Kernel(_ALL, 13)],
    "ConstantOfShape": [Kernel("int64", 9, host=(0,))],
    "Conv": [Kernel(_FLOATS, 22), Kernel("float float16", 11, 21)],
    "ConvTranspose": [Kernel("float float16", 11)],
    "Cos": [Kernel("float float16", 7)],
    "CumSum": [Kernel(f"float float16 {_WHOLE}", 14, host=(1,))],
    "Div": [Kernel(f"{_FLOATS} {_WHOLE}", 14)],
    "Equal": [Kernel(f"float float16 {_WHOLE} bool", 13)],
    "Erf": [Kernel(_FLOATS, 13)],
    "Expand": [Kernel(_ALL, 13, host=(1,))],
    "Gather": [Kernel(_ALL, 13)],
    "GatherElements": [Kernel(_ALL, 13)],
    "Greater": [Kernel(f"float float16 {_WHOLE}", 13)],
    "GroupQueryAttention": [Kernel("float16 bfloat16", 1, host=(6,))],
    "LayerNormalization": [Kernel(_FLOATS, 17)],
    "Less": [Kernel(f"float float16 {_WHOLE}", 13)],
    "LessOrEqual": [Kernel(f"float float16 {_WHOLE}", 16)],
    "MatMul": [Kernel(_FLOATS, 13)],
    "MatMulNBits": [Kernel(_FLOATS, 1)],
    "Min": [Kernel(f"{_FLOATS} {_WHOLE}", 13)],
    "Mul": [Kernel(f"{_FLOATS} {_WHOLE}", 14)],
    "Not": [Kernel("bool", 1)],
    "Or": [Kernel("bool", 7)],
    "Pow": [Kernel(f"{_FLOATS} {_WHOLE}", 15)],
    "QuickGelu": [Kernel(_FLOATS, 1)],
    "RMSNormalization": [Kernel(_FLOATS, 23)],
    "Range": [Kernel(f"float {_WHOLE}", 11, host=(0, 1, 2))],
    "Reciprocal": [Kernel("float float16", 13)],
    "ReduceMax": [Kernel(f"float float16 {_WHOLE}", 18, host=(1,))],
    "ReduceMean": [Kernel("float float16 int32", 18, host=(1,))],
    "ReduceSum": [Kernel(f"{_FLOATS} {_WHOLE}", 13, host=(1,))],
    "Reshape": [Kernel(_ALL, 23, host=(1,)), Kernel(_ALL, 14, 18, host=(1,))],
    "Shape": [Kernel(_ALL, 23), Kernel(_ALL, 15, 18)],
    "Sigmoid": [Kernel(_FLOATS, 13)],
    "Sin": [Kernel("float float16", 7)],
    "SkipSimplifiedLayerNormalization": [Kernel(_FLOATS, 1)],
    "Slice": [Kernel(_ALL, 13, host=(1, 2, 3, 4))],
    "Softmax": [Kernel(_FLOATS, 13)],
    "Split": [Kernel(_ALL, 18, host=(1,))],
    "Sqrt": [Kernel(_FLOATS, 13)],
    "Squeeze": [Kernel(_ALL, 23, host=(1,)), Kernel(_ALL, 13, 20, host=(1,))],
    "Sub": [Kernel(f"{_FLOATS} {_WHOLE}", 14)],
    "Sum": [Kernel(_FLOATS, 13)],
    "TopK": [Kernel(f"float float16 {_WHOLE}", 11, host=(1,))],
    "Transpose": [Kernel(_ALL, 23), Kernel(_ALL, 13, 20)],
    "Unsqueeze": [Kernel(_ALL, 23, host=(1,)), Kernel(_ALL, 13, 20, host=(1,))],
    "Where": [Kernel(f"{_FLOATS} {_WHOLE} uint8", 16)],
}
MAKES_ON_THE_HOST = {"Shape", "Size"}


@dataclass(frozen=True)
class Placement:
    """What would be where.

    Attributes:
        lacking: Nodes for which there is no kernel, as `Type-version of type`.
        drawn: Nodes that would run on the CPU all the same, for all they read lies there.
        copied: Tensors that would be copied from one memory to the other in every launch.
    """

    lacking: list[str]
    drawn: list[onnx.NodeProto]
    copied: list[str]


def placement(model: onnx.ModelProto) -> Placement:
    """Place the nodes of a graph, weights left in their file."""
    graph = model.graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input)}
    types |= {v.name: v.data_type for v in graph.initializer}
    sizes = {v.name: _elements(v) for v in graph.initializer}
    inputs = {value.name for value in graph.input}
    lacking: list[str] = []
    on_the_host: set[str] = set()  # made in CPU memory
    on_the_cpu: list[onnx.NodeProto] = []
    for node in graph.node:
        kernel = _kernel(node, model, types)
        if kernel is None:
            version = "" if node.domain else f"-{_version(node, model)}"
            kind = TensorProto.DataType.Name(types.get(node.input[0], 0)) if node.input else ""
            lacking.append(f"{node.op_type}{version} of {kind.lower()}")
        host = set(kernel.host) if kernel else set()
        read = [(at, name) for at, name in enumerate(node.input) if name]
        meets_host = any(name in on_the_host for _, name in read)
        drawn = kernel is None or (
            meets_host
            and all(
                sizes.get(name, SMALL + 1) <= SMALL
                or name in inputs
                or (name in on_the_host and at not in host)
                for at, name in read
            )
            and not any(types.get(name) in _NARROW for _, name in read)
        )
        if drawn:
            on_the_cpu.append(node)
        if drawn or node.op_type in MAKES_ON_THE_HOST:
            on_the_host.update(node.output)
    cpu = {name for node in on_the_cpu for name in node.output}
    on_the_host |= _fed_on_the_host(model, types)
    copied = []
    for node in graph.node:
        runs_on_cpu = bool(cpu & set(node.output))
        kernel = _kernel(node, model, types)
        for at, name in enumerate(node.input):
            if not name or name in sizes or node.op_type in MAKES_ON_THE_HOST:
                continue
            wants_host = runs_on_cpu or (kernel is not None and at in kernel.host)
            if wants_host != (name in on_the_host):
                copied.append(f"{name} for {node.op_type}")
    return Placement(lacking, on_the_cpu, copied)


def _fed_on_the_host(model: onnx.ModelProto, types: dict[str, int]) -> set[str]:
    """The graph's inputs that are read in CPU memory and nowhere else: they may be given there."""
    readers: dict[str, list[bool]] = {}
    for node in model.graph.node:
        kernel = _kernel(node, model, types)
        for at, name in enumerate(node.input):
            readers.setdefault(name, []).append(kernel is not None and at in kernel.host)
    return {value.name for value in model.graph.input if all(readers.get(value.name, [False]))}


_NARROW = {TensorProto.FLOAT16, TensorProto.BFLOAT16}


def _kernel(node: onnx.NodeProto, model: onnx.ModelProto, types: dict[str, int]) -> Kernel | None:
    version = 1 if node.domain == CONTRIB else _version(node, model)
    typed = types.get(node.input[0]) if node.input else None
    if node.op_type == "Where":
        typed = types.get(node.input[1])
    for kernel in KERNELS.get(node.op_type, []):
        names = {TensorProto.DataType.Value(name.upper()) for name in kernel.types.split()}
        if kernel.serves(version) and (typed is None or typed in names):
            return kernel
    return None


def _version(node: onnx.NodeProto, model: onnx.ModelProto) -> int:
    (opset,) = (x.version for x in model.opset_import if not x.domain)
    return onnx.defs.get_schema(node.op_type, opset, "").since_version


def _elements(value: TensorProto) -> int:
    number = 1
    for size in value.dims:
        number *= size
    return number


def launches(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that run on the GPU in every launch: no views, and nothing of weights alone."""
    constant = {value.name for value in model.graph.initializer}
    on_the_cpu = {node.output[0] for node in placement(model).drawn}
    found = []
    for node in model.graph.node:
        if all(name in constant for name in node.input if name):
            constant.update(node.output)
        elif node.op_type not in _VIEWS | MAKES_ON_THE_HOST and node.output[0] not in on_the_cpu:
            found.append(node)
    return found


_VIEWS = {"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
