"""The HTTP side of a service: its routes, its errors and the doors in front of them."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import (
    RequestValidationError,
    ValidationException,
    WebSocketRequestValidationError,
)
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match
from starlette.types import ASGIApp

from qwen3_tts_edge.errors import Qwen3TTSError
from qwen3_tts_edge.server import health, page
from qwen3_tts_edge.server.addresses import nothing_at
from qwen3_tts_edge.server.doors.head import Head
from qwen3_tts_edge.server.doors.keys import Keys
from qwen3_tts_edge.server.doors.limits import BodyLimit
from qwen3_tts_edge.server.doors.origins import Origins
from qwen3_tts_edge.server.doors.request_id import RequestId
from qwen3_tts_edge.server.problems import ErrorBody, Problem, invalid, problem_of
from qwen3_tts_edge.server.protocols import (
    cartesia,
    cartesia_lists,
    deepgram,
    deepgram_flux,
    elevenlabs,
    elevenlabs_lists,
    models,
    openai_speech,
    openai_voices,
    realtime,
)
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.settings import Settings
from qwen3_tts_edge.version import VERSION

_PROTOCOLS = (
    openai_speech, openai_voices, realtime, cartesia, cartesia_lists, deepgram, deepgram_flux,
    elevenlabs, elevenlabs_lists, models, health, page,
)  # fmt: skip
_TOLD = ["retry-after", "x-channels", "x-request-id", "x-sample-rate", "x-seed"]
_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "What is wrong with the request."},
    "5XX": {"model": ErrorBody, "description": "Why the server cannot answer it now."},
}
_UNREADABLE: dict[type, str] = {
    UnicodeDecodeError: "the body is not UTF-8; send JSON in no other encoding, and not compressed",
    RecursionError: "the body nests too deep; send a flat JSON object",
    ValueError: "a number in the body has too many digits; send one that 64 bits hold",
}
"""What is wrong with a body, by what was raised when it was read."""

Beside = AbstractAsyncContextManager[None]


def app(service: Service, beside: Sequence[Beside] = ()) -> ASGIApp:
    """Make the app that serves a service; its lifespan starts and stops the service.

    Args:
        service: What is served.
        beside: What goes on in the same event loop while the service runs: protocols that are no
            HTTP.
    """
    return RequestId(guarded(service, beside))


def guarded(service: Service, beside: Sequence[Beside] = ()) -> ASGIApp:
    """Make the app where something in front of it names requests already."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running(), AsyncExitStack() as others:
            for other in beside:
                await others.enter_async_context(other)
            yield

    routes = FastAPI(
        title="qwen3-tts-edge",
        version=VERSION,
        lifespan=lifespan,
        responses=_ERRORS,
        docs_url=None,  # its page loads scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
    )
    for protocol in _PROTOCOLS:
        routes.include_router(protocol.router(service))
    routes.router.default = _missing
    # A websocket that is not open yet is answered in the same way.
    routes.add_exception_handler(RequestValidationError, _invalid)
    routes.add_exception_handler(WebSocketRequestValidationError, _invalid)
    routes.add_exception_handler(HTTPException, _refused)
    routes.add_exception_handler(Qwen3TTSError, _failed)
    routes.add_exception_handler(Exception, _failed)
    return _doors(routes, service.settings)


def _doors(routes: ASGIApp, settings: Settings) -> ASGIApp:
    """Put in front of the routes what every request passes, the last of these first."""
    limited = BodyLimit(Head(routes), settings.largest_body, settings.body_seconds)
    door: ASGIApp = Keys(limited, settings.keys, open_lists=settings.open_lists)
    if not settings.keys:
        door = Origins(door, settings.cors_origins)
    if not settings.cors_origins:
        return door
    return CORSMiddleware(
        door,
        allow_origins=settings.cors_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=_TOLD,
    )


async def _missing(*_: object) -> None:
    """An address that is not there; the router alone would answer 403 to a websocket."""
    raise HTTPException(404)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """A body that is no JSON, or a field of another type or outside its range."""
    assert isinstance(error, ValidationException)
    first = error.errors()[0]
    if first["type"] == "model_attributes_type" and len(first["loc"]) == 1:
        found = "the body is no JSON object; send one, as content-type: application/json"
        return Problem(400, found).answer()
    if "UploadFile" in first["msg"]:
        name = first["loc"][-1]
        found = f"{name} is no file; send one, as multipart/form-data"
        return Problem(400, found, param=name).answer()
    return problem_of(invalid("the body", first, first["loc"][1:])).answer()


async def _refused(http: Request, error: Exception) -> JSONResponse:
    """An address or a method that is not there, or a body that is no text."""
    assert isinstance(error, HTTPException)
    found = _UNREADABLE.get(type(error.__cause__))
    if found is not None:  # FastAPI says no more than that it failed
        return Problem(400, found).answer()
    if _is_for_websockets(http) and error.status_code in (404, 405):
        found = (
            "this address is for websockets, and the request does not ask for one; a proxy on the "
            "way has to speak HTTP/1.1 with this server and pass Upgrade and Connection on"
        )
        return Problem(
            426, found, headers={"upgrade": "websocket", "connection": "upgrade"}
        ).answer()
    said = str(error.detail)
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = ", ".join(sorted(_methods(http, headers["Allow"].split(", "))))
        said = f"{http.method} is not for this address; it takes {headers['Allow']}"
    if error.status_code == 404:
        said = nothing_at(http.url.path, http.app.openapi()["paths"])
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    return Problem(error.status_code, said, kind, headers=headers).answer()


def _is_for_websockets(http: Request) -> bool:
    """Tell whether this may be what a proxy has made of a websocket."""
    asked = {**http.scope, "type": "websocket"}
    return http.scope.get("method") == "GET" and any(
        route.matches(asked)[0] is Match.FULL for route in http.app.routes
    )


def _methods(http: Request, some: Iterable[str]) -> set[str]:
    """Add to some methods of an address the others: the router knows those of one route alone."""
    described = http.app.openapi()["paths"].get(http.url.path, {})
    methods = {*some, *map(str.upper, described)}
    return methods | {"HEAD"} if "GET" in methods else methods


async def _failed(_: Request, error: Exception) -> JSONResponse:
    return problem_of(error).answer()
