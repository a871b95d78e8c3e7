"""The teacher reads the judge's sentences: the yardstick for length, sound and words.

Out: `teacher/000.npy` …, int16 at 24 kHz, and `teacher_seconds.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qwen3_tts_export.parity import judge
from qwen3_tts_voice.speech import RATE, Teacher


def read(work: Path) -> Iterator[str]:
    """Read every sentence, a paragraph one sentence after the other; yields word errors by kind."""
    teacher, listener = Teacher(), judge.Judge()
    folder = work / "teacher"
    folder.mkdir(exist_ok=True)
    seconds: dict[str, float] = {}
    errors = dict.fromkeys(judge.SETS, judge.Errors())
    for number, sentence in enumerate(judge.sentences()):
        pieces = []
        for part in judge.parts(sentence):
            spoken = teacher.read(part, number, 0)
            if spoken is None:
                raise ValueError(f"the teacher cannot read this in one breath: {part}")
            pieces.append(spoken.samples)
        samples = np.concatenate(pieces)
        np.save(folder / f"{number:03d}.npy", samples)
        seconds[sentence.text] = round(len(samples) / RATE, 2)
        heard = listener.transcribe(samples.astype(np.float32) / 2**15)
        found = judge.errors(sentence.spoken, heard)
        errors[sentence.kind] += found
        if found.wrong:
            yield f"{found.wrong} wrong: {sentence.spoken} | {heard}"
    text = json.dumps(seconds, indent=1, ensure_ascii=False) + "\n"
    (work / "teacher_seconds.json").write_text(text, "utf-8")
    for kind, found in errors.items():
        yield f"{kind}: {found.wrong} of {found.words} words wrong, {found.rate:.1%}"
