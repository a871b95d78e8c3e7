"""The page of a demo, without its buttons: a voice is kept: `demo.py MODEL FOLDER RECORDING`."""

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from qwen_tts import Qwen3TTSModel, VoiceClonePromptItem

model_path, folder, recording = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
model = Qwen3TTSModel.from_pretrained(
    model_path, device_map="cpu", dtype=torch.float32, attn_implementation=None
)
languages = {name.title(): name for name in model.get_supported_languages()}
# What was left empty on the page is None, and is not passed on.
fields: dict[str, Any] = {"temperature": None, "top_k": 50, "max_new_tokens": 11}
fields |= {"do_sample": False, "subtalker_dosample": False, "repetition_penalty": 1.05}
settings = {name: value for name, value in fields.items() if value is not None}


def from_microphone(rate: int, samples: np.ndarray) -> tuple[np.ndarray, int]:
    """What a browser sends: whole numbers, two channels."""
    floats = samples.astype(np.float32) / 2**15
    return floats.mean(axis=1), rate


def keep(sound: tuple[np.ndarray, int], said: str | None, file: Path) -> None:
    items = model.create_voice_clone_prompt(sound, said, x_vector_only_mode=said is None)
    torch.save({"items": [asdict(item) for item in items]}, file)


def speak(file: Path, text: str, language: str) -> tuple[int, np.ndarray]:
    kept = torch.load(file, map_location="cpu", weights_only=True)["items"]
    items = [VoiceClonePromptItem(**item) for item in kept]
    wavs, rate = model.generate_voice_clone(
        text=text.strip(), language=languages[language], voice_clone_prompt=items, **settings
    )
    return rate, np.clip(wavs[0], -1, 1)


pcm, rate = soundfile.read(recording, dtype="int16", always_2d=True)
heard = from_microphone(rate, np.repeat(pcm, 2, axis=1))
with tempfile.TemporaryDirectory() as kept:
    for name, said in (("in-context", "This is what the recording says."), ("vector", None)):
        file = Path(kept, "voice.pt")
        keep(heard, said, file)
        rate, spoken = speak(file, " The kettle is on. ", "English")
        soundfile.write(folder / f"{name}.wav", spoken, rate, subtype="FLOAT")
