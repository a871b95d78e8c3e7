"""The teacher reads the sentences: hibari-tts, one shard of utterances a file.

In: `text.txt`. Out: `speech/0000.npz` … with 24 kHz samples, pitch, and the teacher's own phoneme
and word at every 10 ms. Who reads what is said in `speakers`: pitch and formants are changed before
the waveform is made.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.atomic import whole_or_nothing
from qwen3_tts_voice.speakers import STRAIGHT, speaker

RATE = 24_000
HOP = 240
FRAME = 1920
LEAD, TAIL = 1920, 3840
GAIN, LOUDEST = 2.2, 0.97
LONGEST = 12.0
TEACHER_HOP = 300
SILENCE = 0
NO_WORD = 255
STRESS = "ˈˌ"
PAUSES = ';:,.!?—…"()“”'
DURATIONS = "/Cast_32_output_0"

Array = npt.NDArray[Any]


@dataclasses.dataclass
class Utterance:
    """One sentence as read: int16 samples and three tracks with a value every 10 ms.

    `speaker` is a number, see `speakers`.
    """

    index: int
    speaker: int
    samples: Array
    pitch: Array
    phone: Array
    word: Array
    aligned: bool


class Teacher:
    """hibari-tts with its durations laid open."""

    def __init__(self) -> None:
        import onnx
        import onnxruntime
        from hibari import Hibari, dsp

        self._dsp = dsp
        self._hibari = Hibari()
        graph = onnx.load(self._hibari.model_path)
        graph.graph.output.append(
            onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.INT64, ["L"])
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def read(self, text: str, index: int, number: int) -> Utterance | None:
        """Read one sentence as a speaker; None if the teacher splits it or it is too long."""
        voice = speaker(number)
        phonemes = self._hibari.phonemize(text)
        if len(phonemes) != 1:
            return None
        known = [c for c in phonemes[0] if c in self._hibari.vocab]
        ids = self._hibari.ids(phonemes[0])
        *parts, durations = self._session.run(
            None, {"ids": np.asarray([ids], np.int64), "speed": np.full(1, voice.rate, np.float32)}
        )
        lh, theta, ln, lr, phi, f0 = (part[0] for part in parts)
        if voice.tract != STRAIGHT:
            spectra = (lh, theta, ln, lr, phi)
            lh, theta, ln, lr, phi = (_warped(x, voice.formants) for x in spectra)
        f0 = f0 * voice.pitch
        noise = np.random.default_rng(index)
        raw = self._dsp.synth(lh, theta, ln, lr, phi, f0, noise)
        raw = raw * min(GAIN, LOUDEST / np.abs(raw).max())
        phone, word, spoken_words = _tracks(known, durations, len(f0), self._hibari.vocab)
        return _cut(raw, f0, phone, word, index, number, spoken_words == len(text.split()))


def _warped(x: Array, formants: float) -> Array:
    """Stretch the frequency axis of a spectrum by bins, which multiplies formants."""
    position = np.minimum(np.arange(len(x)) / formants, len(x) - 1)
    low = position.astype(int)
    share = (position - low)[:, None].astype(np.float32)
    warped: Array = x[low] * (1 - share) + x[np.minimum(low + 1, len(x) - 1)] * share
    return warped


def _tracks(
    phonemes: list[str], durations: Array, frames: int, vocabulary: dict[str, int]
) -> tuple[Array, Array, int]:
    """Find phone and word at every teacher frame (12.5 ms), and count the words."""
    steps = np.concatenate([[0], np.cumsum(durations)]) * (frames // max(1, int(durations.sum())))
    phone = np.zeros(frames, np.uint8)
    word = np.full(frames, NO_WORD, np.uint8)
    at, pending, last = 0, 0, SILENCE
    for position, symbol in enumerate(phonemes, start=1):
        start, end = int(steps[position]), int(steps[position + 1])
        if symbol in STRESS:
            pending = end - start
            continue
        start, pending = start - pending, 0
        if symbol == " ":
            middle = (start + end) // 2
            phone[start:middle], word[start:middle] = last, at
            at += 1
            pending = end - middle
            continue
        last = SILENCE if symbol in PAUSES else vocabulary[symbol]
        phone[start:end], word[start:end] = last, at
    return phone, word, at + 1


def _cut(
    raw: Array, f0: Array, phone: Array, word: Array, index: int, speaker: int, aligned: bool
) -> Utterance | None:
    """Trim to the speech with a fixed silence before and after, padded to whole frames."""
    energy = np.convolve(raw * raw, np.ones(480) / 480, "same")
    loud = np.flatnonzero(energy > 1e-5)
    if len(loud) == 0 or (loud[-1] - loud[0]) / RATE > LONGEST:
        return None
    first, last = int(loud[0]), int(loud[-1])
    size = -(-(LEAD + last - first + TAIL) // FRAME) * FRAME
    source = max(0, first - LEAD)
    place = LEAD - (first - source)
    piece = raw[source : last + TAIL][: size - place]
    samples = np.zeros(size, np.float32)
    samples[place : place + len(piece)] = piece
    at = (np.arange(size // HOP) * HOP + HOP // 2 - place + source) / TEACHER_HOP
    nearest = np.clip(at.astype(int), 0, len(f0) - 1)
    inside = (at >= 0) & (at < len(f0))
    pitch = np.interp(at, np.arange(len(f0)) + 0.5, f0, left=0, right=0)
    pitch = np.where(f0[nearest] < 30, 0, np.where(pitch < 60, f0[nearest], pitch)) * inside
    quiet = energy[np.clip((at * TEACHER_HOP).astype(int), 0, len(energy) - 1)] < 1e-5
    return Utterance(
        index=index,
        speaker=speaker,
        samples=np.clip(samples * 32767, -32767, 32767).astype(np.int16),
        pitch=pitch.astype(np.float16),
        phone=np.where(inside & ~quiet, phone[nearest], SILENCE).astype(np.uint8),
        word=np.where(inside, word[nearest], NO_WORD).astype(np.uint8),
        aligned=aligned,
    )


def write_shard(path: Path, utterances: list[Utterance]) -> None:
    """Store utterances; the file appears only when it is whole."""
    sizes = [len(u.samples) for u in utterances]
    with whole_or_nothing(path) as part, part.open("wb") as file:
        np.savez(
            file,
            samples=np.concatenate([u.samples for u in utterances]),
            pitch=np.concatenate([u.pitch for u in utterances]),
            phone=np.concatenate([u.phone for u in utterances]),
            word=np.concatenate([u.word for u in utterances]),
            offset=np.concatenate([[0], np.cumsum(sizes)]),
            index=np.array([u.index for u in utterances]),
            speaker=np.array([u.speaker for u in utterances]),
            aligned=np.array([u.aligned for u in utterances]),
        )
