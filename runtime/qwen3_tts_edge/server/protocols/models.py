"""`GET /v1/models`: the one bundle that is served, in the words of whoever asks."""

from fastapi import APIRouter, HTTPException
from fastapi import Request as HttpRequest
from typing_extensions import TypedDict

from qwen3_tts_edge.bundle.names import BASE, CUSTOM_VOICE, VOICE_DESIGN
from qwen3_tts_edge.server.protocols import elevenlabs_lists
from qwen3_tts_edge.server.service import Service

TASKS = {CUSTOM_VOICE: "CustomVoice", VOICE_DESIGN: "VoiceDesign", BASE: "Base"}
"""Types of checkpoints, by their official names in `task_type`."""


class Model(TypedDict):
    """A model as OpenAI describes it, and below what ours can be asked for."""

    id: str
    object: str
    created: int
    owned_by: str
    task_type: str
    languages: list[str]
    takes_instructions: bool


class Models(TypedDict):
    """All of them."""

    object: str
    data: list[Model]


class SpeechModels(TypedDict):
    """All of them, as Open WebUI reads them."""

    models: list[Model]


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.get("/v1/models")
    async def models(http: HttpRequest) -> Models | list[elevenlabs_lists.Model]:
        """List the models, which is one; to ElevenLabs' clients as they read it, a bare list."""
        if "xi-api-key" in http.headers:
            return elevenlabs_lists.models(service)
        return {"object": "list", "data": [_model(service)]}

    @routes.get("/v1/audio/models")
    async def speech_models() -> SpeechModels:
        """List those that speak, which is the same one, where Open WebUI looks for it."""
        return {"models": [_model(service)]}

    @routes.get("/v1/models/{name:path}")
    async def model(name: str) -> Model:
        """Describe a model."""
        if not name or name.endswith("/"):  # no address here has a slash at its end
            raise HTTPException(404)
        service.check_model(name)
        return _model(service)

    return routes


def _model(service: Service) -> Model:
    manifest = service.synthesizer.manifest
    return {
        "id": service.name,
        "object": "model",
        "created": 0,
        "owned_by": "qwen3-tts-edge",
        "task_type": TASKS[manifest.checkpoint.model_type],
        "languages": service.voices.languages,
        "takes_instructions": manifest.takes_instruct,
    }
