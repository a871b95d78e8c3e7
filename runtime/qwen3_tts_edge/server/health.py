"""`/health`, `/ready` and `/metrics`: what those who run a server ask of it."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response
from typing_extensions import TypedDict

from qwen3_tts_edge.server.service import Service


class Status(TypedDict):
    """How the server is, in a word."""

    status: str


_UNFIT: dict[int | str, dict[str, Any]] = {503: {"model": Status, "description": "It is not so."}}


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.get("/health", responses=_UNFIT)
    async def health(answer: Response) -> Status:
        """Tell whether it lives: where not, only a new process helps."""
        answer.status_code = 200 if service.alive else 503
        return {"status": "healthy" if service.alive else "dead"}

    @routes.get("/ready", responses=_UNFIT)
    async def ready(answer: Response) -> Status:
        """Tell whether to send requests here."""
        answer.status_code = 200 if service.ready else 503
        return {"status": "ready" if service.ready else "starting or stopping"}

    @routes.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Give the counters, for Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    return routes
