"""Chapters into one file each, a list of sentences a call: `audiobook.py MODEL FOLDER`."""

import re
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
from qwen_tts import Qwen3TTSModel

BOOK = """# One
It was late. The road went on, and on! Nobody spoke. Was it far? "Not far," she said. We walked.
The moon came up; then it went. I counted steps. Ten, eleven, twelve. There was the house.

# Two
The house was empty.
"""
PAUSE = 0.3

model_path, folder = sys.argv[1], Path(sys.argv[2])
device = torch.device("cpu")
model = Qwen3TTSModel.from_pretrained(Path(model_path), device_map=device, dtype=torch.float32)
narrator = next(name for name in model.get_supported_speakers() if name.startswith("r"))

for chapter in filter(None, re.split(r"^# ", BOOK, flags=re.MULTILINE)):
    title, text = chapter.split("\n", maxsplit=1)
    sentences = re.findall(r"\S[^.!?]*[.!?]\"?", text.replace("\n", " "))
    wavs, rate = model.generate_custom_voice(
        text=[title, *sentences],
        speaker=narrator,
        language=["English"] * (1 + len(sentences)),
        instruct=None,
        non_streaming_mode=False,
        do_sample=False,
        subtalker_dosample=False,
        max_new_tokens=np.int64(8),
    )
    silence = np.zeros(int(PAUSE * rate), dtype=wavs[0].dtype)
    whole = np.concatenate([part for wav in wavs for part in (wav, silence)])
    soundfile.write(folder / f"{title}.wav", whole, rate, subtype="FLOAT")
