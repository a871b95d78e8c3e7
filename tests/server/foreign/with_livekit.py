"""Speak through LiveKit's plugins, as they are: `with_livekit.py URL` prints what they heard.

Runs in an environment of its own, see `test_foreign_clients`. The answer is one JSON object: case →
PCM in base64, or the name of the error it ended with.
"""

import asyncio
import base64
import json
import sys
from typing import Any

import aiohttp
from livekit.agents import APIConnectOptions, tts
from livekit.plugins import cartesia, deepgram, elevenlabs, openai

TEXT = "Good morning. How are you?"
ONCE = APIConnectOptions(max_retry=0, timeout=60.0)
"""Who is patient on a busy machine: ElevenLabs' protocol speaks on for who was interrupted."""


async def streamed(voice: tts.TTS) -> bytes:
    """Give the text word by word, as it comes from a language model."""
    stream = voice.stream(conn_options=ONCE)
    for word in TEXT.split():
        stream.push_text(f"{word} ")
    stream.end_input()
    return await heard(stream)


async def whole(voice: tts.TTS) -> bytes:
    return await heard(voice.synthesize(TEXT, conn_options=ONCE))


async def interrupted(voice: tts.TTS) -> bytes:
    """Go away after the first sound, as when the user begins to talk; then speak again."""
    stream = voice.stream(conn_options=ONCE)
    stream.push_text(f"{TEXT} " * 20)
    stream.end_input()
    await anext(aiter(stream))
    await stream.aclose()
    return await streamed(voice)


async def heard(stream: Any) -> bytes:
    async with stream:
        return b"".join([bytes(event.frame.data) async for event in stream])


async def main(url: str) -> dict[str, str]:
    answers = {}
    async with aiohttp.ClientSession() as session:

        def cartesia_of(voice: str) -> tts.TTS:
            return cartesia.TTS(api_key="any", base_url=url, voice=voice, http_session=session)

        def deepgram_of(model: str) -> tts.TTS:
            return deepgram.TTS(
                api_key="any", base_url=f"{url}/v1/speak", model=model, http_session=session
            )

        def flux_of(model: str) -> tts.TTS:
            return deepgram.TTSv2(
                api_key="any", base_url=f"{url}/v2/speak", model=model, http_session=session
            )

        def elevenlabs_of(voice: str, **more: Any) -> tts.TTS:
            return elevenlabs.TTS(
                api_key="any", base_url=f"{url}/v1", voice_id=voice, http_session=session, **more
            )

        def openai_of(voice: str, **more: Any) -> tts.TTS:
            return openai.TTS(api_key="any", base_url=f"{url}/v1", voice=voice, **more)

        for name, voice, ways in (
            ("cartesia", cartesia_of("heart"), (streamed, streamed, whole, interrupted)),
            ("cartesia, nobody", cartesia_of("nobody"), (streamed, whole)),
            ("deepgram", deepgram_of("heart"), (streamed, streamed, whole, interrupted)),
            ("deepgram, nobody", deepgram_of("nobody"), (streamed, whole)),
            ("flux", flux_of("heart"), (streamed, streamed, whole, interrupted)),
            ("flux, nobody", flux_of("nobody"), (streamed, whole)),
            (
                "elevenlabs",
                elevenlabs_of("heart", encoding="pcm_24000"),
                (streamed, streamed, whole, interrupted),
            ),
            ("elevenlabs, mp3", elevenlabs_of("heart"), (streamed, whole)),
            ("elevenlabs, nobody", elevenlabs_of("nobody"), (streamed, whole)),
            ("openai", openai_of("heart", response_format="pcm"), (whole,)),
            ("openai, mp3", openai_of("heart"), (whole,)),
            ("openai, nobody", openai_of("nobody"), (whole,)),
        ):
            for number, way in enumerate(ways):
                case = f"{name}, {way.__name__} {number}"
                try:
                    answers[case] = base64.b64encode(await way(voice)).decode()
                except Exception as error:  # what came of it is judged elsewhere
                    answers[case] = f"!{type(error).__name__}"
            await voice.aclose()
    return answers


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))  # noqa: T201
