"""A session of ONNX Runtime: how it is opened, and whether it is of the graph that it should be."""

import re
from collections.abc import Mapping
from pathlib import Path

import onnxruntime as ort

from qwen3_tts_edge.backends.ort.install import packages
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.errors import BackendError, BundleError, reason, shortened

_ERRORS_ONLY = 3

_TYPES = {
    "float32": "tensor(float)",
    "float16": "tensor(float16)",
    "bfloat16": "tensor(bfloat16)",
    "int8": "tensor(int8)",
    "int32": "tensor(int32)",
    "int64": "tensor(int64)",
    "bool": "tensor(bool)",
}
"""ONNX Runtime's names of the types that manifests name."""

_UNKNOWN = re.compile(
    "NOT_IMPLEMENTED|Unsupported model IR version|No Op registered|not a registered function|"
    "under development and support for this is limited"
)
"""What it says of operators, and of versions of ONNX, that it does not have."""

Provider = str | tuple[str, Mapping[str, str]]


def session_options(threads: int | None) -> ort.SessionOptions:
    """What every session is opened with; None is one thread per physical core."""
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
    # Two sessions take turns. Left alone, the threads of the one that waits spin for a
    # while on the cores that the other needs: 1.5 to 2 times the time a frame.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def load(path: Path, options: ort.SessionOptions, provider: Provider) -> ort.InferenceSession:
    """Open a session that runs on this provider.

    Raises:
        BundleError: ONNX Runtime cannot read the graph.
        BackendError: Another provider runs it.
    """
    try:
        session = ort.InferenceSession(
            str(path), options, providers=[provider], enable_fallback=False
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no other parent
        raise BundleError(
            f"{path} cannot be loaded by ONNX Runtime {ort.__version__}: {reason(error)}",
            _newer(error) or "export the bundle again",
        ) from error
    wanted = provider if isinstance(provider, str) else provider[0]
    running = session.get_providers()[0]
    if running != wanted:
        raise BackendError(
            f"asked for {wanted}, ONNX Runtime runs {running}", "its messages above say why"
        )
    return session


def _newer(error: Exception) -> str | None:
    """Say how to get a newer ONNX Runtime, where this one does not have what a graph is made of."""
    if not _UNKNOWN.search(str(error)):
        return None
    installed = " ".join(packages()) or "onnxruntime"
    return f"the graph may be newer than that, run: pip install --upgrade {installed}"


def check_tensors(session: ort.InferenceSession, spec: GraphSpec) -> None:
    """Compare what a graph takes and gives with its spec, by which buffers are made and bound.

    Raises:
        BundleError: They differ; says in what.
    """
    pasts = [state.past for state in spec.states]
    presents = [(state.present, state.past) for state in spec.states]
    given = {each.name: each for each in (*spec.inputs, *pasts)}
    taken = dict([*((each.name, each) for each in spec.outputs), *presents])
    for nodes, specs in ((session.get_inputs(), given), (session.get_outputs(), taken)):
        found = {node.name: (node.type, tuple(node.shape)) for node in nodes}
        told = {name: (_TYPES[each.dtype], each.shape) for name, each in specs.items()}
        for name in sorted(found.keys() | told.keys()):
            if found.get(name) != told.get(name):
                here = shortened(str(found.get(name, "not there")))
                there = shortened(str(told.get(name, "nothing of it")))
                raise BundleError(
                    f"{spec.file}: {shortened(name)} is {here}, the manifest says {there}",
                    "export the bundle again",
                )
