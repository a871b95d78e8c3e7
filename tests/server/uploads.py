"""Recordings, and how they are uploaded as voices."""

import io

import httpx2
import numpy as np
import soundfile

SAID = "Who is it?"
CONSENT = "Anna allows it, for this test."


def recording(seconds: float = 1.2, rate: int = 24000, form: str = "WAV") -> bytes:
    at = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * 130 * k * at) / k for k in range(1, 9))
    file = io.BytesIO()
    soundfile.write(file, 0.15 * tone * (1.1 + np.sin(6 * np.pi * at)), rate, format=form)
    return file.getvalue()


def upload(http: httpx2.Client, name: str = "anna", **fields: str) -> httpx2.Response:
    sample = {"audio_sample": ("anna.wav", recording(), "audio/wav")}
    return http.post(
        "/v1/audio/voices", data={"name": name, "consent": CONSENT, **fields}, files=sample
    )
