"""`/v1/audio/voices`: the voices there are, new ones from recordings, and their end.

Answers carry OpenAI's shape and vLLM-Omni's in one.

Source: types/audio/voice*.py of https://github.com/openai/openai-python;
    vllm_omni/entrypoints/openai/api_server.py of https://github.com/vllm-project/vllm-omni
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from fastapi import Request as HttpRequest
from pydantic import TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.server.doors.keys import ANYBODY
from qwen3_tts_edge.server.problems import FieldError, blaming
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.voices.voice import Clone


class Named(TypedDict):
    """A voice that can be asked for."""

    id: str
    name: str


class Kept(TypedDict):
    """A voice that was uploaded, as vLLM-Omni describes it; strangers are told the name alone."""

    name: str
    consent: NotRequired[str | None]
    created_at: NotRequired[int | None]
    embedding_source: NotRequired[str]
    embedding_dim: NotRequired[int]
    ref_text: NotRequired[str | None]


class Listed(TypedDict):
    """All voices."""

    voices: list[Named]
    uploaded_voices: list[Kept]


class Uploaded(TypedDict):
    """A voice that is kept now."""

    id: str
    object: str
    created_at: int | None
    name: str
    type: str
    success: bool
    voice: Kept


class Deleted(TypedDict):
    """A voice that is kept no more."""

    id: str
    object: str
    deleted: bool
    success: bool
    message: str


_Text = Form(max_length=4096)
_Words = Form(min_length=1, max_length=4096, pattern=r"\S")
_VECTOR = TypeAdapter(list[float])


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()
    known = service.voices
    keeping = asyncio.Lock()

    @routes.get("/v1/audio/voices")
    @routes.get("/audio/voices", include_in_schema=False)  # Open WebUI, of an address without /v1
    def voices(http: HttpRequest) -> Listed:
        """Name the voices; where they are from is told to who shows a key, where one is needed."""
        stranger = bool(service.settings.keys) and http.state.key == ANYBODY
        kept = known.kept()
        return {
            "voices": [{"id": name, "name": name} for name in [*known.speakers, *kept]],
            "uploaded_voices": [
                {"name": name} if stranger else _described(name, voice)
                for name, voice in kept.items()
            ],
        }

    @routes.post("/v1/audio/voices")
    async def upload(
        name: Annotated[str, Form()],
        consent: Annotated[str, _Words],
        audio_sample: Annotated[UploadFile | None, File()] = None,
        speaker_embedding: Annotated[str | None, Form()] = None,
        ref_text: Annotated[str | None, _Text] = None,
        *,
        replace: Annotated[bool, Form()] = False,
    ) -> Uploaded:
        """Keep a voice: of a recording, or a speaker vector that was heard elsewhere."""
        service.references.check()
        with blaming("name"):
            known.place_for(name, replace=replace)
        if (audio_sample is None) == (speaker_embedding is None):
            raise FieldError("audio_sample", "expected one of audio_sample and speaker_embedding")
        ref_text = ref_text if ref_text and ref_text.strip() else None
        if audio_sample is None and ref_text is not None:
            raise FieldError(
                "ref_text", "a speaker vector says nothing", "leave it out, or send audio_sample"
            )
        with blaming("ref_text"):
            service.references.check(ref_text)
        if audio_sample is not None:
            with blaming("audio_sample"):
                recording = await audio_sample.read()
                voice = await service.references.heard(recording, ref_text, consent=consent)
        else:
            assert speaker_embedding is not None
            with blaming("speaker_embedding"):
                voice = service.references.given(_numbers(speaker_embedding), consent=consent)
        async with keeping:
            with blaming("name"):  # again: somebody may have taken it meanwhile
                await asyncio.to_thread(known.keep, name, voice, replace=replace)
        told = _described(name, voice)
        return {
            "id": name,
            "object": "audio.voice",
            "created_at": told["created_at"],
            "name": name,
            "type": "audio_sample",
            "success": True,
            "voice": told,
        }

    @routes.delete("/v1/audio/voices/{name}")
    async def delete(name: str) -> Deleted:
        """Delete a voice that was kept."""
        if (gone := known.drop(name)) is None:
            raise FieldError("name", f"no voice {name!r} is kept", status=404)
        return {
            "id": gone,
            "object": "audio.voice.deleted",
            "deleted": True,
            "success": True,
            "message": f"voice {gone!r} is deleted",
        }

    return routes


def _numbers(text: str) -> list[float]:
    try:
        return _VECTOR.validate_json(text)
    except ValidationError as error:
        raise InputError("expected a JSON list of numbers") from error


def _described(name: str, voice: Clone) -> Kept:
    """Say where a kept voice is from."""
    provenance = voice.provenance
    return {
        "name": name,
        "consent": None if provenance is None else provenance.consent,
        "created_at": None if provenance is None else provenance.created_at,
        "embedding_source": "audio" if provenance and provenance.seconds else "direct",
        "embedding_dim": len(voice.speaker_vector),
        "ref_text": voice.text,
    }
