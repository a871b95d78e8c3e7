"""Every error a caller may meet. Each is also a Python error of its kind: catch either.

A message says what was found, what was expected and what to do, on one line.
"""


class Qwen3TTSError(Exception):
    """The family: `except Qwen3TTSError` catches everything this package raises on purpose."""


class InputError(Qwen3TTSError, ValueError):
    """The caller asked for something that cannot be spoken: text, speaker, language, a setting."""


class CapacityError(InputError):
    """The request does not fit the KV cache that was allocated when the bundle was opened."""


class BundleError(Qwen3TTSError):
    """The bundle is missing, damaged, or made by another version."""


class BackendError(Qwen3TTSError, RuntimeError):
    """The backend asked for is not installed, or is not the one that runs."""


class CheckpointError(Qwen3TTSError):
    """The checkpoint is incomplete, damaged, or not one this project reads."""
