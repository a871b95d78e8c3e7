"""`/health`, `/ready` and `/metrics`: what those who run a server ask of it."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from qwen3_tts_edge.server.service import Service


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.get("/health")
    async def health() -> JSONResponse:
        """Tell whether it lives: where not, only a new process helps."""
        return JSONResponse(
            {"status": "healthy" if service.alive else "dead"}, 200 if service.alive else 503
        )

    @routes.get("/ready")
    async def ready() -> JSONResponse:
        """Tell whether to send requests here."""
        status = "ready" if service.ready else "starting or stopping"
        return JSONResponse({"status": status}, 200 if service.ready else 503)

    @routes.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Give the counters, for Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    return routes
