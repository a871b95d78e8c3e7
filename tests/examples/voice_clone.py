"""A voice from a recording, in every way to give it: `voice_clone.py MODEL FOLDER RECORDING`."""

import base64
import sys
from pathlib import Path

import soundfile
import torch
from qwen_tts import Qwen3TTSModel, VoiceClonePromptItem

model_path, folder, recording = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
model = Qwen3TTSModel.from_pretrained(model_path, device_map="cpu", dtype=torch.float32)
greedy = {"do_sample": False, "subtalker_dosample": False, "max_new_tokens": 11}
said = "This is what the recording says."

wavs, rate = model.generate_voice_clone(
    text="Good evening.", language="English", ref_audio=recording, ref_text=said, **greedy
)
soundfile.write(folder / "in-context.wav", wavs[0], rate, subtype="FLOAT")

encoded = base64.b64encode(Path(recording).read_bytes()).decode()
wavs, rate = model.generate_voice_clone(
    text="Good evening.",
    ref_audio=f"data:audio/wav;base64,{encoded}",
    x_vector_only_mode=True,
    **greedy,
)
soundfile.write(folder / "vector.wav", wavs[0], rate, subtype="FLOAT")

samples, sample_rate = soundfile.read(recording, dtype="float32")
prompt = model.create_voice_clone_prompt(ref_audio=(samples, sample_rate), ref_text=said)
assert isinstance(prompt[0], VoiceClonePromptItem)
assert prompt[0].icl_mode
assert not prompt[0].x_vector_only_mode
assert prompt[0].ref_text == said
wavs, rate = model.generate_voice_clone(
    text=["Good evening.", "Where were you?"],
    language=["English", "Auto"],
    voice_clone_prompt=prompt,
    **greedy,
)
for number, wav in enumerate(wavs):
    soundfile.write(folder / f"batch-{number}.wav", wav, rate, subtype="FLOAT")
