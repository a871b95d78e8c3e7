"""The package `openvino`, where it is installed, and what it can do on this CPU."""

import sys
from functools import cache
from importlib.util import find_spec
from typing import Any

from qwen3_tts_edge.errors import BackendError

_BFLOAT16 = "bf16"


@cache
def core() -> Any:
    """Load the library.

    Raises:
        BackendError: It is not installed.
    """
    # With it the import is reported to Google Analytics; where it is missing, nothing is.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise BackendError(
            "OpenVINO is not installed", 'run: pip install "qwen3-tts-edge[openvino]"'
        ) from error
    return openvino.Core()


def pays() -> bool:
    """Tell whether it is there and multiplies in bfloat16 here."""
    return find_spec("openvino") is not None and precision() == _BFLOAT16


def precision() -> str:
    """Give what it computes in: bfloat16 where the CPU has products of that, or float32."""
    able = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return _BFLOAT16 if _BFLOAT16.upper() in able else "f32"
