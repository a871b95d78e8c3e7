"""Named speakers, one text and a batch: `custom_voice.py MODEL FOLDER`."""

import sys
from pathlib import Path

import soundfile
import torch
from qwen_tts import Qwen3TTSModel

model_path, folder = sys.argv[1], Path(sys.argv[2])
model = Qwen3TTSModel.from_pretrained(
    model_path, device_map="cpu", dtype=torch.float32, attn_implementation="eager"
)
greedy = {"do_sample": False, "subtalker_dosample": False, "max_new_tokens": 11}

speakers = model.get_supported_speakers()
assert "english" in model.get_supported_languages()
assert speakers == sorted(speakers)

wavs, rate = model.generate_custom_voice(
    text="Good morning, the train is late today.",
    speaker="Ryan",
    language="English",
    instruct="Very happy.",
    **greedy,
)
soundfile.write(folder / "one.wav", wavs[0], rate, subtype="FLOAT")

wavs, rate = model.generate_custom_voice(
    text=["Turn left.", "And then walk along the river."],
    speaker=["Vivian", "Ryan"],
    language=["Auto", "English"],
    instruct=["", "Slowly."],
    **greedy,
)
for number, wav in enumerate(wavs):
    soundfile.write(folder / f"batch-{number}.wav", wav, rate, subtype="FLOAT")
