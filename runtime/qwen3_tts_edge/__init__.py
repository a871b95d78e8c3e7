"""Qwen3-TTS from ONNX graphs: exact, streaming, no PyTorch.

tts = Synthesizer.open()
for chunk in tts.stream("Hello.", seed=7):
    play(chunk.samples)             # float32 (n,), 24 kHz mono
"""

from qwen3_tts_edge.errors import (
    BackendError,
    BundleError,
    CapacityError,
    InputError,
    Qwen3TTSError,
)
from qwen3_tts_edge.request import Request
from qwen3_tts_edge.sampling import Sampling
from qwen3_tts_edge.speech import Audio, Chunk
from qwen3_tts_edge.synthesizer import Synthesizer
from qwen3_tts_edge.voice import Voice

__all__ = [
    "Audio",
    "BackendError",
    "BundleError",
    "CapacityError",
    "Chunk",
    "InputError",
    "Qwen3TTSError",
    "Request",
    "Sampling",
    "Synthesizer",
    "Voice",
]
