"""`GET /`: a page to hear the server with. One file, which asks nobody but this server."""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from qwen3_tts_edge.server.service import Service

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'unsafe-inline' blob:",  # the page's own, and its worklet
        "style-src 'unsafe-inline'",
        "connect-src 'self'",
        "media-src blob:",
        "img-src data:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def router(_: Service) -> APIRouter:
    """Make the route."""
    routes = APIRouter()
    text = (files(__package__) / "page.html").read_text(encoding="utf-8")

    @routes.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> HTMLResponse:
        """Show the page."""
        return HTMLResponse(text, headers={"content-security-policy": _POLICY})

    return routes
