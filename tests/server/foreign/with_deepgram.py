"""Speak through Deepgram's own client, as it is: `with_deepgram.py URL` prints what it heard.

Runs in an environment of its own, see `test_foreign_clients`. The answer is one JSON object: case →
PCM in base64, or the names of what its classes read.
"""

import base64
import json
import sys
from typing import Any

from deepgram import DeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types import SpeakV1Flush, SpeakV1Text
from deepgram.speak.v2.types import SpeakV2Configure, SpeakV2Interrupt, SpeakV2Speak

TEXT = "Good morning. How are you?"
PCM: Any = {"model": "heart", "encoding": "linear16", "sample_rate": "24000"}
Heard = tuple[bytes, list[str]]


def until(connection: Any, kind: str) -> Heard:
    """Read messages until one of a kind; give their sound, and how the others are called."""
    sound, kinds = b"", []
    for message in connection:
        if isinstance(message, bytes):
            sound += message
            continue
        kinds.append(message.type)
        if message.type == kind:
            break
    return sound, kinds


def streamed(client: DeepgramClient) -> Heard:
    with client.speak.v1.connect(**PCM) as connection:
        connection.send_text(SpeakV1Text(type="Speak", text=TEXT))
        connection.send_flush(SpeakV1Flush(type="Flush"))
        return until(connection, "Flushed")


def turns(client: DeepgramClient) -> tuple[bytes, list[str]]:
    """Hear a turn, interrupt one, and hear another after a change of speed."""
    with client.speak.v2.connect(**PCM) as connection:
        connection.send_speak(SpeakV2Speak(type="Speak", text=f"{TEXT} " * 20))
        connection.send_flush()
        until(connection, "SpeechStarted")
        played = {"type": "time_ms", "value": 10}
        connection.send_interrupt(SpeakV2Interrupt(type="Interrupt", playback_offset=played))
        until(connection, "SpeechInterrupted")
        connection.send_configure(SpeakV2Configure(type="Configure", speed=1.0))
        connection.send_speak(SpeakV2Speak(type="Speak", text=TEXT))
        connection.send_close()
        return until(connection, "")


def main(url: str) -> dict[str, str]:
    sockets = url.replace("http", "ws", 1)
    where = {"base": url, "agent_rest": url, "production": sockets, "agent": sockets}
    client = DeepgramClient(api_key="any", environment=DeepgramClientEnvironment(**where))
    whole = {**PCM, "sample_rate": 24000, "container": "none", "text": TEXT}
    (sound, kinds), (turn, told) = streamed(client), turns(client)
    sounds = {
        "whole": b"".join(client.speak.v1.audio.generate(**whole)),
        "whole, flux": b"".join(client.speak.v2.audio.generate(**whole)),
        "streamed": sound,
        "turns": turn,
    }
    answers = {case: base64.b64encode(each).decode() for case, each in sounds.items()}
    return {**answers, "told": f"!{' '.join(kinds)}", "told of turns": f"!{' '.join(told)}"}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))  # noqa: T201
