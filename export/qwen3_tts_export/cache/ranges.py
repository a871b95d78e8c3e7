"""How large keys and values become, by layer, head and channel, while a bundle speaks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.backends import ORT_CPU
from qwen3_tts_edge.bundle.manifest import FRAME
from qwen3_tts_edge.machine.bench import frames_of
from qwen3_tts_edge.machine.texts import TEXTS
from qwen3_tts_edge.speech.slots import Slots
from qwen3_tts_edge.synthesizer import Synthesizer
from qwen3_tts_edge.voices.matching import any_voice
from qwen3_tts_edge.voices.voice import Voice
from qwen3_tts_export.progress import Report

Ranges = dict[str, npt.NDArray[np.float32]]
"""The largest size of each channel, float32 (kv_heads, head_dim), by the name of its past."""

_SECONDS = 8.0


def measure(
    folder: Path, texts: Sequence[str] = TEXTS[::3], report: Report = lambda *_: None
) -> Ranges:
    """Let a bundle speak, one text by each of its speakers in turn, and look at its cache.

    Keys are turned by their position, so that each channel comes to its largest soon.

    Args:
        folder: A bundle of flavour `ort` whose cache is float32.
        texts: What it says.
        report: Called as the work proceeds.
    """
    tts = Synthesizer.open(folder, backend=ORT_CPU, slots=1, max_seconds=_SECONDS, verify=False)
    pasts = [state.past.name for state in tts.manifest.graphs[FRAME].states]
    found: Ranges = {}
    for number, text in enumerate(texts):
        report("measuring the KV cache", number / len(texts))
        speaker = tts.speakers[number % len(tts.speakers)] if tts.speakers else None
        voice = Voice.speaker(speaker) if speaker else any_voice(tts.manifest)
        slots, prompt = Slots(tts.frame_graph, tts.manifest, 1), tts.prompts.build(text, voice)
        frames = min(len(text), tts.frame_graph.capacity - len(prompt.rows))
        for _ in frames_of(slots, [prompt], frames):
            pass
        arrays = slots.state.arrays()
        for name in pasts:
            if name.startswith("past_key_values"):
                largest = np.abs(arrays[name][0]).max(axis=1)
                found[name] = np.maximum(found.get(name, 0), largest)
    return found
