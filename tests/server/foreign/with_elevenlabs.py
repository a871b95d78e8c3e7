"""Speak through ElevenLabs' own client, as it is: `with_elevenlabs.py URL` prints what it heard.

Runs in an environment of its own, see `test_foreign_clients`. The answer is one JSON object: case →
PCM in base64, or what it found. Its websocket wants TLS, so only for that it is told otherwise.
"""

import base64
import json
import sys
from collections.abc import Iterator
from typing import Any

from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError

TEXT = "Good morning. How are you?"
PCM: Any = {"voice_id": "heart", "output_format": "pcm_24000"}


def words() -> Iterator[str]:
    for word in TEXT.split():
        yield f"{word} "


def main(url: str) -> dict[str, str]:
    client = ElevenLabs(api_key="any", base_url=url)
    speech = client.text_to_speech
    speech._ws_base_url = url.replace("http", "ws", 1)
    timed = speech.stream_with_timestamps(text=TEXT, **PCM)
    sounds = {
        "whole": b"".join(speech.convert(text=TEXT, **PCM)),
        "as it is made": b"".join(speech.stream(text=TEXT, **PCM)),
        "streamed": b"".join(speech.convert_realtime(text=words(), **PCM)),
        "timed": b"".join(base64.b64decode(each.audio_base_64) for each in timed),
        "timed, whole": base64.b64decode(
            speech.convert_with_timestamps(text=TEXT, **PCM).audio_base_64
        ),
    }
    answers = {case: base64.b64encode(each).decode() for case, each in sounds.items()}
    answers["voices"] = "!" + " ".join(each.voice_id for each in client.voices.search().voices)
    answers["models"] = "!" + " ".join(each.model_id for each in client.models.list())
    try:
        b"".join(speech.convert(text=TEXT, **{**PCM, "voice_id": "nobody"}))
    except ApiError as error:
        answers["nobody"] = f"!{error.status_code}"
    return answers


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))  # noqa: T201
