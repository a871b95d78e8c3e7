"""Nodes of a graph, as ComfyUI calls them: `comfy_node.py MODEL FOLDER RECORDING`."""

import sys
from pathlib import Path
from typing import Any

import soundfile
import torch
from qwen_tts import Qwen3TTSModel

_MODELS: dict[str, Any] = {}
Audio = dict[str, Any]
"""`waveform` (1, channels, n) and `sample_rate`."""


class LoadModel:
    """Keeps the models that were opened."""

    RETURN_TYPES, FUNCTION = ("TTS_MODEL",), "load"

    def load(self, path: str) -> tuple[Any]:
        if path not in _MODELS:
            _MODELS[path] = Qwen3TTSModel.from_pretrained(
                path,
                device_map="cpu",
                torch_dtype=torch.float32,
                attn_implementation="sdpa",
                trust_remote_code=True,
                local_files_only=True,
            )
        return (_MODELS[path],)


class HearVoice:
    """A prompt of a recording."""

    RETURN_TYPES, FUNCTION = ("TTS_VOICE",), "hear"

    def hear(self, model: Any, audio: Audio, said: str) -> tuple[Any]:
        sound = (audio["waveform"][0].mean(dim=0).numpy(), audio["sample_rate"])
        vector_only = not said.strip()
        return (
            model.create_voice_clone_prompt(
                ref_audio=[sound], ref_text=[said or None], x_vector_only_mode=[vector_only]
            ),
        )


class Speak:
    """Text in somebody's voice."""

    RETURN_TYPES, FUNCTION = ("AUDIO",), "speak"

    def speak(self, model: Any, voice: Any, text: str, seed: int) -> tuple[Audio]:
        torch.manual_seed(seed)
        wavs, rate = model.generate_voice_clone(
            text=text,
            language="Auto",
            voice_clone_prompt=voice,
            max_new_tokens=11,
            do_sample=False,
            subtalker_dosample=False,
            top_k=50,
            top_p=0.95,
            temperature=1.0,
            subtalker_temperature=1.0,
        )
        return ({"waveform": torch.from_numpy(wavs[0])[None, None], "sample_rate": rate},)


def run(node: type, **inputs: Any) -> Any:
    return getattr(node(), node.FUNCTION)(**inputs)[0]


model_path, folder, recording = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
samples, rate = soundfile.read(recording, dtype="float32", always_2d=True)
audio = {"waveform": torch.from_numpy(samples.T.copy())[None], "sample_rate": rate}
for name, said in (("in-context", "This is what the recording says."), ("vector", "")):
    model = run(LoadModel, path=model_path)
    voice = run(HearVoice, model=model, audio=audio, said=said)
    spoken = run(Speak, model=model, voice=voice, text="Who is there?", seed=7)
    assert spoken["waveform"].shape[:2] == (1, 1)
    soundfile.write(
        folder / f"{name}.wav", spoken["waveform"][0, 0], spoken["sample_rate"], subtype="FLOAT"
    )
