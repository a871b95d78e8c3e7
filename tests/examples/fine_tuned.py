"""Hear what training has made, sentence by sentence: `fine_tuned.py MODEL FOLDER`."""

import os
import sys
import time

import soundfile
import torch
from qwen_tts import Qwen3TTSModel

checkpoint, folder = sys.argv[1:3]
tts = Qwen3TTSModel.from_pretrained(
    f"{checkpoint}{os.sep}", device_map="cpu", torch_dtype=torch.float32, use_safetensors=True
)
speaker = tts.get_supported_speakers()[0]
for number, text in enumerate(("She said she would be here by noon.", "Bleib noch ein bisschen.")):
    began = time.time()
    wavs, rate = tts.generate_custom_voice(
        text, speaker, eos_token_id=None, max_new_tokens=11, do_sample=False, top_k=0, top_p=1,
        subtalker_dosample=False,
    )  # fmt: skip
    sys.stderr.write(f"{len(wavs[0]) / rate:.2f} s of sound in {time.time() - began:.2f} s\n")
    soundfile.write(f"{folder}/{number}.wav", wavs[0], rate, subtype="FLOAT")
