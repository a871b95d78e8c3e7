"""`POST /v1/audio/speech`: OpenAI's speech, with the fields that vLLM-Omni has for Qwen3-TTS."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from starlette.responses import Response

from qwen3_tts_edge.server.problems import FieldError, blaming, problem_of
from qwen3_tts_edge.server.protocols.asked import Fields
from qwen3_tts_edge.server.protocols.models import TASKS
from qwen3_tts_edge.server.protocols.response import (
    EVENTS,
    SpeechResponse,
    WholeResponse,
    event,
    sound,
)
from qwen3_tts_edge.server.protocols.speech_body import Speech
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.speaking.session import Session
from qwen3_tts_edge.server.speaking.whole import Answer
from qwen3_tts_edge.server.voices.references import vector_of
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.sound.formats import FORMATS
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.text.growing_text import GrowingText
from qwen3_tts_edge.text.languages import language_named
from qwen3_tts_edge.text.pieces import AT_ONCE
from qwen3_tts_edge.voices.matching import match
from qwen3_tts_edge.voices.voice import Clone, Voice

_NAME = "openai"
_SENT = ("ref_audio", "speaker_embedding")
_FIELDS = Fields(form="response_format", rate="sample_rate")
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_EVENT = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["event", "data"],
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Sound in the format that was asked for, or events that carry it.",
        "content": {
            **{FORMATS[name].content_type: _BINARY for name in ("mp3", "opus", "aac", "flac")},
            **{FORMATS[name].content_type: _BINARY for name in ("wav", "pcm")},
            EVENTS: {"schema": _EVENT},
        },
    }
}


def router(service: Service) -> APIRouter:
    """Make the route."""
    routes = APIRouter()

    @routes.post("/v1/audio/speech", response_class=Response, responses=_ANSWERS)
    async def speech(body: Speech, http: HttpRequest) -> Response:
        """Speak a text."""
        form = _encoder(service, body)
        request = await _request(service, body)

        async def whole() -> Answer:
            asked = replace(request, text=body.input)
            with blaming("input"):  # all else has been checked
                return await service.speak_whole(asked, form, transport=_NAME, key=http.state.key)

        if body.whole:
            return WholeResponse(whole, form)
        return SpeechResponse(
            service,
            http,
            request,
            form,
            text=body.input,
            field="input",
            transport=_NAME,
            chunk_frames=body.chunk_frames,
            content=partial(_events, service, body) if body.events else sound,
            media_type=EVENTS if body.events else None,
        )

    return routes


def _encoder(service: Service, body: Speech) -> Encoder:
    if body.word_timestamps:
        raise FieldError("word_timestamps", "this server knows no times of words", "leave it out")
    name = body.response_format or "mp3"
    return _FIELDS.encoder(service, name, rate=body.sample_rate, speed=body.speed)


async def _request(service: Service, body: Speech) -> Request:
    """Read what is asked for, as a request without its text."""
    service.check_model(body.model)
    for name in ("input", "instructions", "ref_text"):
        service.check_length(getattr(body, name) or "", name)
    manifest = service.synthesizer.manifest
    ours = TASKS[manifest.checkpoint.model_type]
    if body.task_type not in (None, ours):
        raise FieldError("task_type", f"this server runs a {ours} checkpoint, not {body.task_type}")
    with blaming("language"):
        language_named(body.language, service.synthesizer.languages)
    sampling = body.sampling
    voice = await _voice(service, body)
    designs = ours == "VoiceDesign"
    instruct = None if designs else body.instructions
    with blaming("instructions"):
        match(manifest, voice, instruct)
    return Request(
        None,
        voice,
        language=body.language,
        instruct=instruct,
        text_layout=body.layout,
        sampling=sampling,
        seed=body.seed,
        max_seconds=_seconds(service, body.max_new_tokens),
    )


def _seconds(service: Service, frames: int | None) -> float | None:
    """Give the seconds of a ceiling in frames; None where no utterance comes that far."""
    if frames is None or 2 * frames > service.synthesizer.frame_graph.capacity:
        return None
    return frames / service.synthesizer.manifest.frames_per_second


async def _voice(service: Service, body: Speech) -> Voice | None:
    """Find who shall speak, and check that the checkpoint can."""
    body.check_voice()
    manifest = service.synthesizer.manifest
    sent = next((name for name in _SENT if getattr(body, name) is not None), None)
    # Clients have to name a voice; another name than that of a kept one is a word for it.
    if sent is not None and service.voices.keeps(body.named):
        raise FieldError("voice", f"there is {sent} too", "send one of them")
    if body.ref_audio is not None:
        text = None if body.x_vector_only_mode else body.ref_text
        with blaming("ref_audio"):
            service.references.check()
        with blaming("ref_text"):
            service.references.check(text)
        with blaming("ref_audio"):
            return await service.references.voice(body.ref_audio, text)
    if body.speaker_embedding is not None:
        with blaming("speaker_embedding"):
            service.references.check()
            voice: Voice | None = Clone(vector_of(body.speaker_embedding))
            match(manifest, voice, None)
    else:
        with blaming("voice"):
            voice = service.voices.find(body.named, body.instructions)
            match(manifest, voice, None)
    return voice


async def _events(service: Service, body: Speech, session: Session) -> AsyncIterator[bytes]:
    try:
        async for data in sound(session):
            yield _event("delta", {"audio": data})
    except Exception as error:
        # An event alone would be taken for the end of all: the connection is cut as well.
        yield _event("error", {"error": problem_of(error).error})
        raise
    spoken = await asyncio.to_thread(_text_ids, service, body.input)  # a long one takes a while
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


def _text_ids(service: Service, text: str) -> int:
    """Count the ids of a text, piece by piece: the tokenizer does not let go of the GIL."""
    growing = GrowingText(service.synthesizer.bundle.tokenizer)
    pieces = (text[at : at + AT_ONCE] for at in range(0, len(text), AT_ONCE))
    return sum(len(growing.feed(piece)) for piece in pieces) + len(growing.finish())


def _event(kind: str, content: dict[str, Any]) -> bytes:
    name = f"speech.audio.{kind}"
    return event(name, {"type": name, **content})
