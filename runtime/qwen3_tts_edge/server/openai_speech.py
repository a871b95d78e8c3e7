"""`POST /v1/audio/speech`: OpenAI's speech, with the fields that vLLM-Omni has for Qwen3-TTS.

Source: https://platform.openai.com/docs/api-reference/audio/createSpeech;
    vllm_omni/entrypoints/openai/protocol/audio.py of https://github.com/vllm-project/vllm-omni
"""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from fastapi import Request as HttpRequest
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.server.models import TASKS
from qwen3_tts_edge.server.problems import FieldError, problem_of
from qwen3_tts_edge.server.response import SpeechResponse
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.session import Session, Sound
from qwen3_tts_edge.sound.encoding import Encoder, encoder
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.sampling import Sampling
from qwen3_tts_edge.speech.stream import RAMP
from qwen3_tts_edge.voices.voice import Clone, Voice

_SAMPLING = [field.name for field in fields(Sampling)]


class VoiceId(BaseModel):
    """OpenAI's way to name a voice that was uploaded."""

    id: str


class Speech(BaseModel):
    """The body of a request. Fields that are not known here are ignored, as their senders expect.

    The sampling settings have their official names.
    """

    model_config = ConfigDict(strict=True)

    input: Annotated[str, Field(min_length=1)]
    model: str | None = None
    voice: str | VoiceId | None = None
    instructions: str | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0
    stream_format: Literal["audio", "sse"] | None = None

    speaker: str | None = None
    stream: bool | None = None
    sample_rate: int | None = None
    task_type: Literal["CustomVoice", "VoiceDesign", "Base"] | None = None
    language: str | None = None
    ref_audio: str | None = None
    ref_text: str | None = None
    x_vector_only_mode: bool = False
    speaker_embedding: list[float] | None = None
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    initial_codec_chunk_frames: Annotated[int, Field(ge=1, le=250)] | None = None
    non_streaming_mode: bool | None = None
    word_timestamps: bool = False

    do_sample: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    subtalker_dosample: bool | None = None
    subtalker_temperature: float | None = None
    subtalker_top_k: int | None = None
    subtalker_top_p: float | None = None

    @property
    def named(self) -> str | None:
        """The voice by its name."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice or self.speaker

    @property
    def chunk_frames(self) -> tuple[int, ...]:
        """Frames a chunk."""
        first = self.initial_codec_chunk_frames
        return RAMP if first is None else (first, *(size for size in RAMP if size > first))

    @property
    def events(self) -> bool:
        """Whether sound is sent in events, not as it is."""
        return self.stream_format == "sse" or (self.stream_format is None and self.stream is True)


def router(service: Service) -> APIRouter:
    """Make the route."""
    routes = APIRouter()

    @routes.post("/v1/audio/speech", response_class=Response)
    async def speech(body: Speech, http: HttpRequest) -> Response:
        """Speak a text."""
        form = _encoder(service, body)
        request = await _request(service, body)
        session = await service.speak(
            request,
            form,
            text=body.input,
            ended=True,
            transport="openai",
            key=http.state.key,
            chunk_frames=body.chunk_frames,
        )
        if body.events:
            return SpeechResponse(session, _events(service, body, session), "text/event-stream", {})
        if body.stream is False:
            return await _whole(session, form)
        return SpeechResponse(session, _sound(session), form.content_type, _described(form))

    return routes


def _encoder(service: Service, body: Speech) -> Encoder:
    if body.word_timestamps:
        raise FieldError("word_timestamps", "this server knows no times of words", "leave it out")
    try:
        return encoder(
            body.response_format,
            service.synthesizer.manifest.sample_rate,
            rate_out=body.sample_rate,
            speed=body.speed,
        )
    except InputError as error:
        param = "response_format" if body.speed == 1.0 else "speed"
        param = "sample_rate" if "rate" in error.found and body.sample_rate else param
        raise FieldError(param, error.found, error.remedy) from error


async def _request(service: Service, body: Speech) -> Request:
    """Read what is asked for, as a request without its text."""
    service.check_model(body.model)
    if len(body.input) > service.settings.largest_text:
        raise FieldError(
            "input",
            f"the text has {len(body.input)} characters; {service.settings.largest_text} is the "
            "most",
            "send it in parts",
        )
    ours = service.synthesizer.manifest.checkpoint.model_type
    if body.task_type not in (None, TASKS[ours]):
        raise FieldError(
            "task_type", f"this server runs a {TASKS[ours]} checkpoint, not {body.task_type}"
        )
    designs = ours == "voice_design"
    layout = {None: None, True: "upfront", False: "streamed"}[body.non_streaming_mode]
    return Request(
        None,
        await _voice(service, body, designs=designs),
        language=body.language,
        instruct=None if designs else body.instructions,
        text_layout=layout,
        sampling=Sampling(**{name: getattr(body, name) for name in _SAMPLING}),
        seed=body.seed,
        max_seconds=service.seconds_of(body.max_new_tokens),
    )


async def _voice(service: Service, body: Speech, *, designs: bool) -> Voice | None:
    if body.speaker_embedding is not None and body.ref_audio is not None:
        raise FieldError("speaker_embedding", "there is ref_audio too", "send one of them")
    if body.speaker_embedding is not None:
        return Clone(np.array(body.speaker_embedding, np.float32))
    if body.ref_audio is not None:
        text = None if body.x_vector_only_mode else body.ref_text
        return await service.references.voice(body.ref_audio, text)
    try:
        return service.voices.find(body.named, (body.instructions or "") if designs else None)
    except InputError as error:
        raise FieldError("voice", error.found, error.remedy) from error


def _described(form: Encoder) -> dict[str, str]:
    return {"x-sample-rate": str(form.sample_rate), "x-channels": "1"}


async def _sound(session: Session) -> AsyncIterator[bytes]:
    async for event in session:
        if isinstance(event, Sound) and event.data:
            yield event.data


async def _whole(session: Session, form: Encoder) -> Response:
    """Answer when all is spoken; its length is known then."""
    try:
        data = b"".join([piece async for piece in _sound(session)])
    finally:
        session.close()
    data = form.head + data[len(form.head) :]
    return Response(data, media_type=form.content_type, headers=_described(form))


async def _events(service: Service, body: Speech, session: Session) -> AsyncIterator[bytes]:
    try:
        async for data in _sound(session):
            yield _event("delta", {"audio": base64.b64encode(data).decode()})
    except Exception as error:
        # An event alone would be taken for the end of all: the connection is cut as well.
        yield _event("error", {"error": problem_of(error).error})
        raise
    spoken = service.count(body.input)
    yield _event(
        "done",
        {
            "usage": {
                "input_tokens": spoken,
                "output_tokens": session.frames,
                "total_tokens": spoken + session.frames,
            }
        },
    )


def _event(kind: str, content: dict[str, Any]) -> bytes:
    name = f"speech.audio.{kind}"
    return f"event: {name}\ndata: {json.dumps({'type': name, **content})}\n\n".encode()
