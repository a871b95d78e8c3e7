"""What `from_pretrained` is given, by the official names, and what it means here."""

import logging
from typing import Any, TypedDict

from qwen3_tts_edge.backends import AUTO, ORT_CPU
from qwen3_tts_edge.backends.ort.install import cuda_lack
from qwen3_tts_edge.bundle.names import CUDA, FP32, INT8, ORT
from qwen3_tts_edge.compat.options import ArgumentError, check_strings, shown, truth
from qwen3_tts_edge.errors import BackendError, InputError

# A number format other than float32 asks for less memory and more speed, which is int8's part.
_PRECISIONS = {
    "float32": FP32,
    "float": FP32,
    "bfloat16": INT8,
    "float16": INT8,
    "half": INT8,
    "int8": INT8,
    "auto": INT8,
}
_ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
_TRUTHS = ("local_files_only", "force_download")
_HUB = ("revision", "cache_dir", "token", "local_files_only", "force_download")
_CHANGE_NOTHING = ("low_cpu_mem_usage", "use_safetensors", "trust_remote_code")
_OURS = ("threads", "max_seconds", "fetch_urls")

_log = logging.getLogger(__name__)


class Loading(TypedDict, total=False):
    """The official keyword arguments of `from_pretrained`.

    Attributes:
        device_map: `cpu`, `auto` or None: what a bundle was exported for, and the CPU for a
            checkpoint. `cuda`, `cuda:0` or 0: the GPU, for which a checkpoint is exported anew
            and a bundle must have been. A name, a number, a torch device, or a mapping of
            everything to one of them.
        dtype: float32 is the exact precision, fp32; bfloat16, float16 and None are int8, small
            and fast. The torch dtypes or their names. A bundle has its precision: for one in
            int8 float32 is an error, anything else is fine.
        torch_dtype: The older name of `dtype`.
        attn_implementation: The official names are taken and change nothing: they choose how fast
            the same is computed, and a bundle's graphs have a fused attention built in.
        revision: Of a hub id: a branch, tag or commit.
        cache_dir: Where the hub's downloads are kept.
        token: For the hub; True is the one that was saved, False none.
        local_files_only: Take what was downloaded before, and ask nobody.
        force_download: Download it again.
        low_cpu_mem_usage: Taken, and changes nothing: weights are mapped, never copied.
        use_safetensors: Taken, and changes nothing: nothing else is read.
        trust_remote_code: Taken, and changes nothing: no code of a checkpoint is run.
    """

    device_map: Any
    dtype: Any
    torch_dtype: Any
    attn_implementation: str | None
    revision: str | None
    cache_dir: Any
    token: str | bool | None
    local_files_only: bool
    force_download: bool
    low_cpu_mem_usage: bool | None
    use_safetensors: bool | None
    trust_remote_code: bool | None


def check(loading: Loading) -> None:
    """Refuse what is not known here; an attention that upstream does not know either is.

    Raises:
        ArgumentError: Names the arguments, and what is known, or one of another type.
        InputError: The attention.
    """
    unknown = sorted(loading.keys() - Loading.__annotations__.keys())
    if unknown:
        raise ArgumentError(
            f"unexpected keyword argument {shown(', '.join(unknown), quoted=False)}",
            f"loading takes {', '.join((*Loading.__annotations__, *_OURS))}",
        )
    for name in loading.keys() & set(_CHANGE_NOTHING):
        _log.debug("%s changes nothing here", name)
    for name in _TRUTHS:
        if loading.get(name) is not None:
            truth(name, loading[name])  # type: ignore[literal-required]
    check_strings("revision", [loading.get("revision")])
    if not isinstance(loading.get("token"), str | bool | None):
        raise ArgumentError(
            f"token is a {type(loading['token']).__name__}; expected a string, or True"
        )
    attention = loading.get("attn_implementation")
    if attention is not None and str(attention) not in _ATTENTION:
        raise InputError(
            f"attn_implementation is {shown(attention)}",
            f"use one of {', '.join(_ATTENTION)}, or leave it out",
        )


def hub(loading: Loading) -> dict[str, Any]:
    """Take what `huggingface_hub.snapshot_download` knows by the same names."""
    return {name: loading[name] for name in _HUB if loading.get(name) is not None}  # type: ignore[literal-required]


def precision(loading: Loading) -> str | None:
    """Give the precision of a dtype; None where none is asked for.

    Raises:
        InputError: Of another dtype.
    """
    dtype = loading.get("dtype")
    dtype = loading.get("torch_dtype") if dtype is None else dtype
    if dtype is None:
        return None
    name = getattr(dtype, "__name__", str(dtype)).removeprefix("torch.")
    if name not in _PRECISIONS:
        raise InputError(f"dtype is {shown(name)}", f"use one of {', '.join(_PRECISIONS)}")
    return _PRECISIONS[name]


def flavour(loading: Loading) -> str | None:
    """Give the flavour of a bundle for `device_map`: cuda, ort, or None where any will do.

    Raises:
        BackendError: There is nothing for that device here.
    """
    where = loading.get("device_map")
    if isinstance(where, dict):
        places = {str(place) for place in where.values()}
        where = places.pop() if len(places) == 1 else where
    name = "auto" if where is None else str(where)
    if name == "auto":
        return None
    if name == "cpu":
        return ORT
    if name in ("cuda", "cuda:0", "0"):
        return CUDA
    raise BackendError(
        f"device_map is {shown(name)}, and here is no backend for it",
        "use cpu, auto or cuda:0; CUDA_VISIBLE_DEVICES says which GPU is the first",
    )


def backend(wanted: str | None, found: str, what: str) -> str:
    """Choose the backend for a bundle.

    Args:
        wanted: What `flavour` gave.
        found: The bundle's flavour.
        what: The bundle, for the message.

    Raises:
        BackendError: A GPU is wanted for a bundle that is for the CPU.
    """
    if wanted == CUDA and found == ORT:
        lack = cuda_lack()
        also = f" ({lack.found}; {lack.remedy})" if lack else ""
        raise BackendError(
            f"device_map asks for the GPU, the bundle {what} is for the CPU{also}",
            "export the checkpoint with --flavour cuda, or use device_map='cpu'",
        )
    return ORT_CPU if wanted == ORT else AUTO


def check_gpu() -> None:
    """Refuse to export for a GPU that could not be used then.

    Raises:
        BackendError: What is missing here, and what brings it.
    """
    lack = cuda_lack()
    if lack is not None:
        raise BackendError(
            f"device_map asks for the GPU: {lack.found}", f"{lack.remedy}, or use device_map='cpu'"
        )
