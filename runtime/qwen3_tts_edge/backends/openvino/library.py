"""The package `openvino`, where it is installed, and what it can do on this CPU."""

import sys
from functools import cache
from importlib.util import find_spec
from typing import Any

from qwen3_tts_edge.errors import BackendError

_BFLOAT16 = "BF16"


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
    """Tell whether it is there and multiplies in bfloat16 here: else ONNX Runtime is as fast."""
    if find_spec("openvino") is None:
        return False
    return _BFLOAT16 in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
