"""TensorRT and TensorRT-RTX: one interface under two names, imported when it is asked for."""

import importlib
from typing import Any

from qwen3_tts_edge.bundle.engines import TENSORRT, TENSORRT_RTX
from qwen3_tts_edge.errors import BackendError

INSTALL = {
    TENSORRT: 'pip install "qwen3-tts-edge[tensorrt]"; on a Jetson it comes with JetPack: make the '
    "environment with --system-site-packages",
    TENSORRT_RTX: 'pip install "qwen3-tts-edge[rtx]"',
}
"""How to get each library."""

DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
"""The library's names of types, and the manifest's."""


def import_library(name: str) -> Any:
    """The module `tensorrt` or `tensorrt_rtx`.

    Raises:
        BackendError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendError(
            f"{name} cannot be imported ({error})", f"run: {INSTALL[name]}"
        ) from error


def make_logger(library: Any, errors: list[str]) -> Any:
    """A logger of that module which adds errors to a list, and is otherwise silent."""

    class Logger(library.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            library.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity <= library.ILogger.ERROR:
                errors.append(message)

    return Logger()
