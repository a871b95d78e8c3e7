"""`GET /v1/models`: the one bundle that is served."""

from typing import Any

from fastapi import APIRouter

from qwen3_tts_edge.server.service import Service

TASKS = {"custom_voice": "CustomVoice", "voice_design": "VoiceDesign", "base": "Base"}
"""Types of checkpoints, by their official names in `task_type`."""


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.get("/v1/models")
    @routes.get("/v1/audio/models")  # where Open WebUI looks first
    async def models() -> dict[str, Any]:
        """List the models, which is one."""
        return {"object": "list", "data": [_model(service)]}

    @routes.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        """Describe a model."""
        service.check_model(name)
        return _model(service)

    return routes


def _model(service: Service) -> dict[str, Any]:
    manifest = service.synthesizer.manifest
    return {
        "id": service.name,
        "object": "model",
        "created": 0,
        "owned_by": "qwen3-tts-edge",
        # Beyond OpenAI's: what it can be asked for.
        "task_type": TASKS[manifest.checkpoint.model_type],
        "languages": service.voices.languages,
        "takes_instructions": manifest.takes_instruct,
    }
