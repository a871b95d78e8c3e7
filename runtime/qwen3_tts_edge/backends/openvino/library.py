"""The package `openvino`, where it is installed, and what it can do on this CPU."""

import sys
from functools import cache
from importlib.util import find_spec
from typing import Any

from qwen3_tts_edge.errors import BackendError, lack

_BFLOAT16 = "bf16"
_OLDEST = (2026, 3)
"""The first that knows the graphs' RMSNormalization."""


@cache
def core() -> Any:
    """Load the library.

    Raises:
        BackendError: It is not installed, cannot be loaded, or is too old.
    """
    # With it the import is reported to Google Analytics; where it is missing, nothing is.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        from openvino import Core, __version__
    except ImportError as error:
        raise BackendError(
            f"OpenVINO {lack(error)}", 'run: pip install "qwen3-tts-edge[openvino]"'
        ) from error
    version = str(__version__)
    if tuple(map(int, version.split(".")[:2])) < _OLDEST:
        raise BackendError(
            f"OpenVINO is {version.split('-')[0]}; expected {'.'.join(map(str, _OLDEST))} or newer",
            "run: pip install --upgrade openvino",
        )
    return Core()


def pays() -> bool:
    """Tell whether it is there, new enough, and multiplies in bfloat16 here."""
    try:
        return find_spec("openvino") is not None and precision() == _BFLOAT16
    except BackendError:
        return False


def precision() -> str:
    """Give what it computes in: bfloat16 where the CPU has products of that, or float32."""
    able = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return _BFLOAT16 if _BFLOAT16.upper() in able else "f32"
