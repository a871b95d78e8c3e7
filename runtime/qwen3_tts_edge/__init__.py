"""Qwen3-TTS from ONNX graphs: exact, streaming, no PyTorch.

tts = Synthesizer.open()
for chunk in tts.stream("Hello.", seed=7):
    play(chunk.samples)             # float32 (n,), 24 kHz mono
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qwen3_tts_edge.errors import (
        BackendError,
        BundleError,
        BusyError,
        CapacityError,
        InputError,
        Qwen3TTSError,
    )
    from qwen3_tts_edge.speech.chunk import Audio, Chunk
    from qwen3_tts_edge.speech.request import Request
    from qwen3_tts_edge.speech.sampling import Sampling
    from qwen3_tts_edge.synthesizer import Synthesizer
    from qwen3_tts_edge.voices.voice import Voice

__all__ = [
    "Audio",
    "BackendError",
    "BundleError",
    "BusyError",
    "CapacityError",
    "Chunk",
    "InputError",
    "Qwen3TTSError",
    "Request",
    "Sampling",
    "Synthesizer",
    "Voice",
]

_HOMES = {
    "Audio": "speech.chunk",
    "Chunk": "speech.chunk",
    "Request": "speech.request",
    "Sampling": "speech.sampling",
    "Synthesizer": "synthesizer",
    "Voice": "voices.voice",
}
"""Where the public names live, the errors' aside. They are imported when they are asked for: the
export knows a bundle's manifest, and loads none of what reads sound or text."""


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
