"""Judge cloned voices: speakers whom nothing was trained on, each cloned from one recording.

How alike two recordings are is what Resemblyzer says, the cosine of its speaker vectors (Wan et
al., 2018); its weights come in its wheel. It is no dependency, for it wants a compiler:
`pip install --no-deps resemblyzer==0.1.4 webrtcvad-wheels`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.arrays import Samples
from qwen3_tts_export.parity import judge
from qwen3_tts_voice.speakers import MANY, NAMED
from qwen3_tts_voice.speech import RATE, Teacher

UNHEARD = len(NAMED) + MANY
"""The first of the speakers whom nothing was trained on."""
REFERENCE = "The old clock in the hall struck nine, and nobody in the house was awake to hear it."
"""What the recordings say."""


@dataclasses.dataclass
class Likeness:
    """How alike recordings are, on average: those of one speaker, of others, and of clones.

    Attributes:
        same: Two sentences of one speaker.
        other: The same sentence of two speakers.
        clone: What the clone says, and the same sentence of the speaker it is cloned from.
        stranger: What the clone says, and the same sentence of the others.
        errors: In the words of the clones.
    """

    same: float
    other: float
    clone: float
    stranger: float
    errors: judge.Errors

    def __str__(self) -> str:
        return (
            f"{100 * self.errors.rate:.1f} % of {self.errors.words} words wrong; alike: clone and "
            f"speaker {self.clone:.2f} (speaker and itself {self.same:.2f}), clone and others "
            f"{self.stranger:.2f} (speaker and others {self.other:.2f})"
        )


class Ear:
    """Turns sound into a speaker's vector of length one."""

    def __init__(self) -> None:
        from resemblyzer import VoiceEncoder, preprocess_wav

        self._encoder, self._prepared = VoiceEncoder("cpu", verbose=False), preprocess_wav

    def vector(self, samples: Samples) -> np.ndarray:
        """Hear 24 kHz samples."""
        heard: np.ndarray = self._encoder.embed_utterance(self._prepared(samples, source_sr=RATE))
        return heard


def judge_clones(bundle: Path, speakers: int, every: int) -> Iterator[str]:
    """Clone speakers with a base bundle, by vector alone and in context; yields what is found."""
    tts, teacher, ear = Synthesizer.open(bundle), Teacher(), Ear()
    said = [s.spoken for s in judge.sentences(judge.SETS[:2])][::every]
    numbers = range(UNHEARD, UNHEARD + speakers)
    read = {n: [_read(teacher, text, n) for text in said] for n in numbers}
    true = {n: np.stack([ear.vector(samples) for samples in read[n]]) for n in numbers}
    pairs = list(combinations(range(len(said)), 2))
    same = np.mean([true[n][i] @ true[n][j] for n in numbers for i, j in pairs])
    other = np.mean([(true[n] * true[m]).sum(1) for n, m in combinations(numbers, 2)])
    listener = judge.Judge()
    for text in (None, REFERENCE):
        errors, clone, stranger = judge.Errors(), [], []
        for n in numbers:
            voice = tts.clone((_read(teacher, REFERENCE, n), RATE), text)
            for i, sentence in enumerate(said):
                samples = tts.speak(sentence, voice, seed=i).samples
                errors += judge.errors(sentence, listener.transcribe(samples))
                near = {m: float(ear.vector(samples) @ true[m][i]) for m in numbers}
                clone.append(near.pop(n))
                stranger += near.values()
        found = Likeness(*map(float, (same, other, np.mean(clone), np.mean(stranger))), errors)
        yield f"{'by vector' if text is None else 'in context'}: {found}"


def _read(teacher: Teacher, text: str, number: int) -> Samples:
    spoken = teacher.read(text, 0, number)
    assert spoken is not None, text
    return spoken.samples.astype(np.float32) / 2**15
