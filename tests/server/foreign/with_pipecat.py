"""Speak through pipecat's services, as they are: `with_pipecat.py URL` prints what they heard.

Runs in an environment of its own, see `test_foreign_clients`. The answer is one JSON object: case →
PCM in base64.
"""

import asyncio
import base64
import json
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.deepgram.flux.tts import DeepgramFluxTTSService
from pipecat.services.deepgram.tts import DeepgramTTSService
from pipecat.services.elevenlabs.tts import ElevenLabsHttpTTSService, ElevenLabsTTSService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.workers.runner import WorkerRunner

TEXT = "Good morning. How are you?"
LONG = f"{TEXT} " * 20


class Listener(FrameProcessor):
    """The end of a pipeline: keeps the sound, and says when there is some and when it stops."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.begin()

    def begin(self) -> None:
        self.sound = b""
        self.sounds, self.stopped = asyncio.Event(), asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.sound += frame.audio
            self.sounds.set()
        if isinstance(frame, TTSStoppedFrame):
            self.stopped.set()
        await self.push_frame(frame, direction)


class Errors(FrameProcessor):
    """The beginning of a pipeline, where errors arrive."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.errors: list[str] = []
        self.any = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
            self.any.set()
        await self.push_frame(frame, direction)


def of_a_model(text: str) -> list[Frame]:
    words = [LLMTextFrame(f"{word} ") for word in text.split()]
    return [LLMFullResponseStartFrame(), *words, LLMFullResponseEndFrame()]


async def conversed(service: Any) -> dict[str, bytes]:
    """Speak twice, be interrupted, and speak again."""
    listener, errors = Listener(), Errors()
    worker = PipelineWorker(
        Pipeline([errors, service, listener]),
        params=PipelineParams(audio_out_sample_rate=24000),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def _(*_: Any) -> None:
        started.set()

    async def spoken(text: str, until: Callable[[], asyncio.Event]) -> bytes:
        listener.begin()
        for frame in of_a_model(text):
            await worker.queue_frame(frame)
        await asyncio.wait_for(until().wait(), 30)
        return listener.sound

    async def talk() -> dict[str, bytes]:
        await asyncio.wait_for(started.wait(), 10)
        heard = {}
        try:
            for number in range(2):
                heard[f"{number}"] = await spoken(TEXT, lambda: listener.stopped)
            await spoken(LONG, lambda: listener.sounds)
            await worker.queue_frame(InterruptionFrame())
            await asyncio.sleep(0.5)
            heard["interrupted"] = await spoken(TEXT, lambda: listener.stopped)
        except asyncio.TimeoutError:
            heard["late"] = "; ".join(errors.errors).encode()
        finally:
            await worker.queue_frame(EndFrame())
        return heard

    runner = WorkerRunner()
    await runner.add_workers(worker)
    _, heard = await asyncio.gather(runner.run(), talk())
    return heard


async def main(url: str) -> dict[str, str]:
    async with aiohttp.ClientSession() as session:
        return await every(url, session)


async def every(url: str, session: aiohttp.ClientSession) -> dict[str, str]:
    ws = url.replace("http", "ws", 1)
    services = {
        "cartesia": CartesiaTTSService(
            api_key="any",
            url=f"{ws}/tts/websocket",
            settings=CartesiaTTSService.Settings(voice="heart"),
        ),
        "deepgram": DeepgramTTSService(
            api_key="any", base_url=ws, settings=DeepgramTTSService.Settings(voice="heart")
        ),
        "deepgram flux": DeepgramFluxTTSService(
            api_key="any",
            url=f"{ws}/v2/speak",
            settings=DeepgramFluxTTSService.Settings(voice="heart"),
        ),
        "elevenlabs": ElevenLabsTTSService(
            api_key="any", url=ws, settings=ElevenLabsTTSService.Settings(voice="heart")
        ),
        "elevenlabs over HTTP": ElevenLabsHttpTTSService(
            api_key="any",
            aiohttp_session=session,
            base_url=url,
            settings=ElevenLabsHttpTTSService.Settings(voice="heart"),
        ),
        "openai": OpenAITTSService(
            api_key="any",
            base_url=f"{url}/v1",
            settings=OpenAITTSService.Settings(voice="alloy", model="tts-1"),
        ),
    }
    answers = {}
    for name, service in services.items():
        for case, data in (await conversed(service)).items():
            answers[f"{name}, {case}"] = base64.b64encode(data).decode()
    return answers


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))  # noqa: T201
