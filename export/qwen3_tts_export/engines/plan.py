"""Build one plan from one graph.

Networks are strongly typed: what a graph says is what is computed, int8 where its DequantizeLinear
nodes stand. So there is one path for both libraries and every version of them.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import onnx

from qwen3_tts_edge.atomic import whole_or_nothing
from qwen3_tts_edge.backends.tensorrt.library import DTYPES, make_logger
from qwen3_tts_edge.bundle.engines import FOLDER, AxisRange, EngineKey
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.errors import BackendError, BundleError
from qwen3_tts_export.engines.target import make_progress, reasons
from qwen3_tts_export.progress import Report


def build_plan(
    library: Any,
    bundle: Path,
    spec: GraphSpec,
    key: EngineKey,
    axes: Mapping[str, AxisRange],
    report: Report = lambda *_: None,
) -> Any:
    """Build one plan.

    Args:
        library: The module, `tensorrt` or `tensorrt_rtx`.
        bundle: The folder.
        spec: The graph, from the manifest.
        key: What to build for.
        axes: Of the graph's inputs.
        report: Called as the work proceeds.

    Returns:
        The plan's bytes.

    Raises:
        BackendError: The library refuses the graph.
        BundleError: The graph is not what the manifest says.
    """
    errors: list[str] = []
    logger = make_logger(library, errors)
    builder = library.Builder(logger)
    network, parser = read_graph(library, builder, logger, bundle / spec.file, axes)
    check_tensors(network, spec)
    config = builder.create_builder_config()
    config.clear_flag(library.BuilderFlag.TF32)  # where a graph says float32 it has its reasons
    if hasattr(library.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
        config.set_flag(library.BuilderFlag.REQUIRE_USER_ALLOCATION)  # a CUDA graph can hold it
    if key.gpu is None:
        config.num_compute_capabilities = len(key.capabilities)
        for index, name in enumerate(key.capabilities):
            capability = getattr(library.ComputeCapability, name.replace("_", "").upper())
            config.set_compute_capability(capability, index)
    config.add_optimization_profile(_profile(builder, spec, axes))
    config.progress_monitor = progress = make_progress(library, report)
    timings = _timing_cache(bundle, key, config) if key.gpu is not None else nullcontext()
    # In a thread of its own, since the library swallows what a signal handler raises in it.
    with timings, ThreadPoolExecutor(1) as thread:
        build = thread.submit(builder.build_serialized_network, network, config)
        try:
            plan = build.result()
        except BaseException:
            progress.stopped = True
            raise
    del parser  # the network reads its weights to the end
    if plan is None:
        raise BackendError(
            f"{key.library} {key.version} cannot build {bundle / spec.file}: {reasons(errors)}"
        )
    return plan


def read_graph(
    library: Any, builder: Any, logger: Any, path: Path, axes: Mapping[str, AxisRange]
) -> tuple[Any, Any]:
    """Parse a graph into a network.

    Args:
        library: The module.
        builder: Of the library.
        logger: Of the builder.
        path: The `.onnx` file.
        axes: Those with only one size get it here: the size of a KV cache that is updated in
            place cannot be dynamic.

    Returns:
        The network, and the parser, which owns the weights.

    Raises:
        BackendError: A node is not to the library's liking.
    """
    model = onnx.load(path, load_external_data=False)
    fixed = {name: axis.most for name, axis in axes.items() if axis.least == axis.most}
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in fixed:
                dim.dim_value = fixed[dim.dim_param]
    typed = 1 << int(library.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = library.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString(), str(path.resolve())):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        told = [
            f"node {e.node_name()} ({e.node_operator()}): {reasons([e.desc()])}" for e in errors
        ]
        raise BackendError(f"{library.__name__} cannot read {path}: {'; '.join(told)}")
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type.name == "ATTENTION_INPUT":
            layer.__class__ = library.IAttentionInputLayer  # what it is, but not given out as
            layer.attention.decomposable = True  # where there is no kernel of its own for it
    return network, parser


def check_tensors(network: Any, spec: GraphSpec) -> None:
    """Compare a network's inputs and outputs with the manifest.

    Raises:
        BundleError: One is missing, too many, or of another type.
    """
    pasts = [state.past for state in spec.states]
    presents = [(state.present, state.past.dtype) for state in spec.states]
    declared = {
        "input": {each.name: each.dtype for each in (*spec.inputs, *pasts)},
        "output": dict([*((each.name, each.dtype) for each in spec.outputs), *presents]),
    }
    tensors = {
        "input": [network.get_input(index) for index in range(network.num_inputs)],
        "output": [network.get_output(index) for index in range(network.num_outputs)],
    }
    for kind, expected in declared.items():
        found = {tensor.name: DTYPES.get(tensor.dtype.name) for tensor in tensors[kind]}
        for name in sorted(found.keys() | expected.keys()):
            if found.get(name) != expected.get(name):
                raise BundleError(
                    f"{spec.file}: {kind} {name} is {found.get(name, 'missing')}, the manifest "
                    f"says {expected.get(name, 'nothing of it')}",
                    "export the bundle again",
                )


def _profile(builder: Any, spec: GraphSpec, axes: Mapping[str, AxisRange]) -> Any:
    profile = builder.create_optimization_profile()
    kinds = [
        {name: getattr(axis, kind) for name, axis in axes.items()}
        for kind in ("least", "best", "most")
    ]
    for tensor in (*spec.inputs, *(state.past for state in spec.states)):
        profile.set_shape(tensor.name, *(tensor.sized(sizes) for sizes in kinds))
    return profile


@contextmanager
def _timing_cache(bundle: Path, key: EngineKey, config: Any) -> Iterator[None]:
    """Keep the timings of this GPU in a file, for the next graph or after a stop.

    The library refuses timings if the properties of the GPU have changed; then all is timed anew.
    TensorRT-RTX times nothing when it builds.
    """
    path = bundle / FOLDER / f"{key.folder_name}.timings"
    for known in (path.read_bytes() if path.is_file() else b"", b""):
        cache = config.create_timing_cache(known)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            break
    try:
        yield
    finally:
        with whole_or_nothing(path) as part:
            part.write_bytes(config.get_timing_cache().serialize())
