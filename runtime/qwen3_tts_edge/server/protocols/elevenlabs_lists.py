"""ElevenLabs' lists: `/v1/voices`, of which each is there by its id, `/v2/voices`, and its models.

Some look there before they ask for speech: Open WebUI, and the vendor's own before its version 2
for a voice that is called by its name.

Source: https://elevenlabs.io/docs/api-reference/voices/search and `models/list`
"""

from fastapi import APIRouter
from typing_extensions import TypedDict

from qwen3_tts_edge.server.problems import FieldError
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.voices.library import folded


class Voice(TypedDict):
    """A voice that can be asked for; its name says which, as an id does there."""

    voice_id: str
    name: str
    category: str


class Voices(TypedDict):
    """All voices."""

    voices: list[Voice]


class Found(Voices):
    """Those that were searched for, all on one page."""

    has_more: bool
    total_count: int
    next_page_token: None


class Language(TypedDict):
    """A language that a model speaks."""

    language_id: str
    name: str


class Model(TypedDict):
    """A model."""

    model_id: str
    name: str
    can_do_text_to_speech: bool
    languages: list[Language]


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.get("/v1/voices")
    def voices() -> Voices:
        """Name the voices."""
        return {"voices": _voices(service)}

    @routes.get("/v1/voices/{name}")
    def voice(name: str) -> Voice:
        """Describe a voice."""
        for each in _voices(service):
            if folded(each["voice_id"]) == folded(name):
                return each
        raise FieldError(
            "voice_id", f"there is no voice {name[:40]!r}", "choose one of /v1/voices", status=404
        )

    @routes.get("/v2/voices")
    def search(search: str = "") -> Found:
        """Name the voices that have this in their name."""
        wanted = search.strip().lower()
        found = [each for each in _voices(service) if wanted in each["name"].lower()]
        count = len(found)
        return {"voices": found, "has_more": False, "total_count": count, "next_page_token": None}

    return routes


def models(service: Service) -> list[Model]:
    """List the models, which is one."""
    languages = [Language(language_id=code, name=code) for code in service.voices.languages]
    return [
        {
            "model_id": service.name,
            "name": service.name,
            "can_do_text_to_speech": True,
            "languages": languages,
        }
    ]


def _voices(service: Service) -> list[Voice]:
    named = dict.fromkeys(service.voices.speakers, "premade")
    named |= dict.fromkeys(service.voices.kept(), "cloned")
    return [
        {"voice_id": name, "name": name, "category": category} for name, category in named.items()
    ]
