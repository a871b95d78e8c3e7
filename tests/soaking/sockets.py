"""The protocols that speak over a websocket, and Wyoming's."""

import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
from wyoming.audio import AudioChunk, AudioStop
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.tts import Synthesize

from qwen3_tts_edge.bundle.names import STREAMED
from soaking.protocols import Ask, RejectedError, protocol


@protocol("cartesia", "pcm")
def _cartesia(ask: Ask) -> AsyncGenerator[bytes, None]:
    form = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000}
    message = {
        "context_id": "soak",
        "model_id": "any",
        "transcript": ask.text,
        "voice": {"mode": "id", "id": "heart"},
        "output_format": form,
        "continue": False,
    }
    return _conversation(ask, "/tts/websocket", [message], "data", "done")


@protocol("deepgram", "pcm", STREAMED)
def _deepgram(ask: Ask) -> AsyncGenerator[bytes, None]:
    path = "/v1/speak?model=heart&encoding=linear16&sample_rate=24000"
    messages = [{"type": "Speak", "text": ask.text}, {"type": "Flush"}]
    return _conversation(ask, path, messages, "", "Flushed")


@protocol("deepgram-flux", "pcm", STREAMED)
def _flux(ask: Ask) -> AsyncGenerator[bytes, None]:
    path = "/v2/speak?model=heart&encoding=linear16&sample_rate=24000"
    messages = [{"type": "Speak", "text": ask.text}, {"type": "Flush"}]
    return _conversation(ask, path, messages, "", "SpeechMetadata")


@protocol("elevenlabs", "pcm", STREAMED)
def _elevenlabs(ask: Ask) -> AsyncGenerator[bytes, None]:
    path = "/v1/text-to-speech/heart/multi-stream-input?output_format=pcm_24000"
    messages = [
        {"text": " ", "context_id": "soak"},
        {"text": ask.text, "context_id": "soak"},
        {"context_id": "soak", "close_context": True},
    ]
    return _conversation(ask, path, messages, "audio", "isFinal")


@protocol("realtime", "pcm")
def _realtime(ask: Ask) -> AsyncGenerator[bytes, None]:
    content = [{"type": "input_text", "text": ask.text}]
    response = {
        "conversation": "none",
        "output_modalities": ["audio"],
        "input": [{"type": "message", "role": "user", "content": content}],
    }
    messages = [{"type": "response.create", "response": response}]
    return _conversation(ask, "/v1/realtime", messages, "delta", "response.done")


@protocol("wyoming", None)
async def _wyoming(ask: Ask) -> AsyncGenerator[bytes, None]:
    async with AsyncClient.from_uri(ask.wyoming) as client:
        await client.write_event(Synthesize(ask.text).event())
        while (event := await client.read_event()) is not None:
            if AudioChunk.is_type(event.type):
                yield AudioChunk.from_event(event).audio
            elif Error.is_type(event.type):
                _complain(str(event.data))
            elif AudioStop.is_type(event.type):
                return
    raise AssertionError("it ended without an audio-stop")


async def _conversation(
    ask: Ask, path: str, messages: list[Any], sound: str, last: str
) -> AsyncGenerator[bytes, None]:
    """Say something; give the sound of the field of that name, or all bytes, to the last message.

    That is one which has a key of that name, or a type, that is not false.
    """
    url = f"{ask.url}{path}{'&' if '?' in path else '?'}seed={ask.seed}"
    async with ask.session.ws_connect(url) as socket:
        for message in messages:
            await socket.send_json(message)
        async for heard in socket:
            if heard.type is aiohttp.WSMsgType.BINARY:
                yield heard.data
                continue
            answer = json.loads(heard.data)
            if answer.get("error") or "error" in answer.get("type", "").lower():
                _complain(heard.data)
            if answer.get(sound):
                yield base64.b64decode(answer[sound])
            if answer.get(last) or answer.get("type") == last:
                return
    raise AssertionError(f"it ended without {last}")


def _complain(said: str) -> None:
    raise RejectedError if "overloaded" in said.lower() else AssertionError(said)
