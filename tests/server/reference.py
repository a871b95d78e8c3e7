"""What a server has to say: the samples of `Synthesizer.stream`."""

import functools

import numpy as np
from typing_extensions import Unpack

from qwen3_tts_edge import Synthesizer, Voice
from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.bundle.names import STREAMED
from qwen3_tts_edge.sound.pcm import to_pcm
from qwen3_tts_edge.speech.request import Asked


@functools.cache
def synthesizer() -> Synthesizer:
    """Open the bundled voice, once a process."""
    return Synthesizer.open(verify=False)


@functools.cache
def samples(text: str, seed: int, *, voice: str = "heart", **asked: Unpack[Asked]) -> Samples:
    """Speak a text with the bundled voice, once a process: many tests hear the same."""
    stream = synthesizer().stream(text, Voice.speaker(voice), seed=seed, **asked)
    found = np.concatenate([chunk.samples for chunk in stream])
    found.flags.writeable = False
    return found


def spoken(text: str, seed: int, *, voice: str = "heart", **asked: Unpack[Asked]) -> bytes:
    """Speak a text with the bundled voice, and give PCM: 16 bits, little-endian, 24 kHz."""
    return to_pcm(samples(text, seed, voice=voice, **asked))


def as_it_came(text: str, seed: int, *, voice: str = "heart", **asked: Unpack[Asked]) -> bytes:
    """Speak a text whose pieces come one by one, which can only be streamed into the talker."""
    return spoken(text, seed, voice=voice, text_layout=STREAMED, **asked)
