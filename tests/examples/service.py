"""A web service whose handlers are called from several threads: `service.py MODEL FOLDER`."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soundfile
import torch
from fastapi import FastAPI, HTTPException, Response
from fastapi.testclient import TestClient
from pydantic import BaseModel
from qwen_tts import Qwen3TTSModel

model_path, folder = sys.argv[1], Path(sys.argv[2])
model = Qwen3TTSModel.from_pretrained(model_path, device_map="cpu", dtype=torch.float32)
app = FastAPI()


class Asked(BaseModel):
    """What a request holds."""

    text: str
    voice: str = ""
    language: str | None = None
    max_new_tokens: int | None = 10


@app.post("/speak")
def speak(asked: Asked) -> Response:
    try:
        wavs, rate = model.generate_voice_design(
            text=asked.text,
            instruct=asked.voice,
            language=asked.language,
            max_new_tokens=asked.max_new_tokens,
            do_sample=False,
            subtalker_dosample=False,
        )
    except ValueError as error:
        raise HTTPException(400, str(error)) from error
    file = io.BytesIO()
    soundfile.write(file, wavs[0], rate, format="WAV", subtype="FLOAT")
    return Response(file.getvalue(), media_type="audio/wav")


client = TestClient(app)
requests = [
    {"text": "One moment, please.", "voice": "A calm woman."},
    {"text": "Platform nine.", "voice": "An old man.", "language": "English"},
    {"text": "Bitte warten.", "language": "German", "max_new_tokens": 7},
    {"text": "Please wait here, it will not take long.", "voice": "A calm woman."},
]
with ThreadPoolExecutor(4) as pool:
    answers = list(pool.map(lambda asked: client.post("/speak", json=asked), requests))
for number, answer in enumerate(answers):
    assert answer.status_code == 200, answer.text
    (folder / f"{number}.wav").write_bytes(answer.content)
refused = client.post("/speak", json={"text": "Hello.", "language": "Klingon"})
assert refused.status_code == 400
assert "Unsupported languages: ['Klingon']" in refused.json()["detail"]
