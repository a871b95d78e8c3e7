"""Speak through Cartesia's own client, as it is: `with_cartesia.py URL` prints what it heard.

Runs in an environment of its own, see `test_foreign_clients`. The answer is one JSON object: case →
PCM in base64, or the fields of the error it ended with.
"""

import base64
import json
import sys
from typing import Any

from cartesia import BadRequestError, Cartesia

TEXT = "Good morning. How are you?"
FORM = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000}


def whole(client: Cartesia, voice: Any) -> str:
    answer = client.tts.generate(
        model_id="sonic-3", transcript=TEXT, voice=voice, output_format=FORM, language="en"
    )
    return base64.b64encode(answer.read()).decode()


def events(client: Cartesia, voice: Any) -> str:
    heard = client.tts.generate_sse(
        model_id="sonic-3", transcript=TEXT, voice=voice, output_format=FORM, language="en"
    )
    return base64.b64encode(
        b"".join([each.audio for each in heard if each.type == "chunk"])
    ).decode()


def streamed(client: Cartesia, voice: str) -> str:
    """Give the text in two parts, and read messages as its own classes."""
    heard = []
    asked = {"model_id": "sonic-3", "voice": {"mode": "id", "id": voice}, "output_format": FORM}
    asked |= {"language": "en", "context_id": "a"}
    with client.tts.websocket_connect() as connection:
        first, second = TEXT.split(". ")
        connection.send({**asked, "transcript": f"{first}. ", "continue": True})
        connection.send({**asked, "transcript": second, "continue": False})
        for message in connection:
            if message.type == "chunk":
                heard.append(message.audio)
            elif message.type == "error":
                return "!" + json.dumps(message.model_dump())
            elif message.type == "done":
                break
    return base64.b64encode(b"".join(heard)).decode()


def main(url: str) -> dict[str, str]:
    sockets = url.replace("http", "ws", 1)
    client = Cartesia(api_key="any", base_url=url, websocket_base_url=sockets, max_retries=0)
    answers = {
        "whole": whole(client, {"mode": "id", "id": "heart"}),
        "whole, by its name": whole(client, "heart"),
        "events": events(client, {"mode": "id", "id": "heart"}),
        "streamed": streamed(client, "heart"),
        "streamed, nobody": streamed(client, "nobody"),
        "voices": "!" + " ".join(each.id for each in client.voices.list(limit=1)),
        "voice": "!" + client.voices.get("heart").name,
    }
    try:
        whole(client, "nobody")
    except BadRequestError as error:
        answers["whole, nobody"] = f"!{type(error).__name__}"
    return answers


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))  # noqa: T201
