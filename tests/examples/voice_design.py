"""Voices from a description, one text and a batch: `voice_design.py MODEL FOLDER`."""

import sys
from pathlib import Path

import soundfile
import torch
from qwen_tts import Qwen3TTSModel

model_path, folder = sys.argv[1], Path(sys.argv[2])
model = Qwen3TTSModel.from_pretrained(model_path, device_map="cpu", dtype=torch.float32)
greedy = {"do_sample": False, "subtalker_dosample": False, "max_new_tokens": 11}

wavs, rate = model.generate_voice_design(
    text="It is raining again.",
    language="English",
    instruct="An old man, calm and slow.",
    **greedy,
)
soundfile.write(folder / "one.wav", wavs[0], rate, subtype="FLOAT")

wavs, rate = model.generate_voice_design(
    text=["It is raining again.", "Guten Morgen."],
    language=["English", "German"],
    instruct=["A young woman, in a hurry.", ""],
    **greedy,
)
for number, wav in enumerate(wavs):
    soundfile.write(folder / f"batch-{number}.wav", wav, rate, subtype="FLOAT")
