"""Cartesia's list of voices: `/voices`, and each by its id, which is its name here.

Its clients ask for page after page until one is empty, some with a slash at the end.

Source: https://docs.cartesia.ai/api-reference/voices/list and `voices/get`
"""

from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter, Query
from typing_extensions import TypedDict

from qwen3_tts_edge.server.problems import FieldError
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.voices.library import folded
from qwen3_tts_edge.voices.voice import Clone

_BEGINNING = datetime.fromtimestamp(0, timezone.utc)
_PAGE = 10
"""Voices on a page, where none says how many."""


class Locale(TypedDict):
    """A language that a voice speaks."""

    locale: str
    is_native: bool


class Voice(TypedDict):
    """A voice that can be asked for. Nobody knows here what it sounds like."""

    id: str
    name: str
    description: str
    tagline: str
    language: str
    locales: list[Locale]
    gender: None
    is_owner: bool
    is_public: bool
    access: str
    visibility: str
    created_at: datetime


class Page(TypedDict):
    """Some of the voices."""

    data: list[Voice]
    has_more: bool
    next_page: str | None


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.get("/voices")
    @routes.get("/voices/", include_in_schema=False)
    def voices(
        q: str = "",
        gender: str | None = None,
        is_owner: bool | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = _PAGE,
    ) -> Page:
        """Name the voices, page by page."""
        found = [
            each
            for each in _voices(service)
            if q.strip().lower() in each["name"].lower()
            and is_owner in (None, each["is_owner"])
            and not gender
        ]
        if ending_before:
            before = found[: _place(found, ending_before)]
            return _page(before[-limit:], more=len(before) > limit)
        after = found[_place(found, starting_after) + 1 :] if starting_after else found
        return _page(after[:limit], more=len(after) > limit)

    @routes.get("/voices/{name}")
    def voice(name: str) -> Voice:
        """Describe a voice."""
        for each in _voices(service):
            if folded(each["id"]) == folded(name):
                return each
        raise FieldError(
            "id", f"there is no voice {name[:40]!r}", "choose one of /voices", status=404
        )

    return routes


def _page(some: list[Voice], *, more: bool) -> Page:
    return {"data": some, "has_more": more, "next_page": some[-1]["id"] if more else None}


def _place(voices: list[Voice], name: str) -> int:
    """Find where a voice stands; behind all where it does not."""
    return next((n for n, each in enumerate(voices) if each["id"] == name), len(voices))


def _voices(service: Service) -> list[Voice]:
    kept: dict[str, Clone | None] = dict.fromkeys(service.voices.speakers)
    return [_voice(service, *each) for each in (kept | service.voices.kept()).items()]


def _voice(service: Service, name: str, kept: Clone | None) -> Voice:
    languages = service.voices.languages
    created = kept.provenance.created_at if kept and kept.provenance else None
    return {
        "id": name,
        "name": name,
        "description": "",
        "tagline": "",
        "language": languages[0] if languages and "en" not in languages else "en",
        "locales": [{"locale": each, "is_native": False} for each in languages],
        "gender": None,
        "is_owner": kept is not None,
        "is_public": kept is None,
        "access": "public" if kept is None else "private",
        "visibility": "all" if kept is None else "owner",
        "created_at": datetime.fromtimestamp(created, timezone.utc) if created else _BEGINNING,
    }
