"""The HTTP side of a service: its routes, its errors and the doors in front of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from qwen3_tts_edge.server import health, models, openai_speech, page
from qwen3_tts_edge.server.keys import Keys
from qwen3_tts_edge.server.limits import BodyLimit
from qwen3_tts_edge.server.problems import Problem, problem_of
from qwen3_tts_edge.server.request_id import RequestId
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.version import VERSION

_PROTOCOLS = (openai_speech, models, health, page)


def app(service: Service) -> ASGIApp:
    """Make the app that serves a service; its lifespan starts and stops the service."""
    return RequestId(guarded(service))


def guarded(service: Service) -> ASGIApp:
    """Make the app where something in front of it names requests already."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    routes = FastAPI(title="qwen3-tts-edge", version=VERSION, lifespan=lifespan)
    for protocol in _PROTOCOLS:
        routes.include_router(protocol.router(service))
    routes.add_exception_handler(RequestValidationError, _invalid)
    routes.add_exception_handler(HTTPException, _refused)
    routes.add_exception_handler(Exception, _failed)
    settings = service.settings
    behind = BodyLimit(routes, settings.largest_body)
    return Keys(behind, settings.keys, open_lists=settings.open_lists)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """A body that is no JSON, or a field of another type or outside its range."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = [str(part) for part in first["loc"] if part != "body"]
    param = where[0] if where else None
    message = f"{'.'.join(where) or 'the body'}: {first['msg']}"
    return _answer(Problem(400, message, param=param))


async def _refused(_: Request, error: Exception) -> JSONResponse:
    """An address or a method that is not there."""
    assert isinstance(error, HTTPException)
    return _answer(Problem(error.status_code, str(error.detail), headers=error.headers or {}))


async def _failed(_: Request, error: Exception) -> JSONResponse:
    return _answer(problem_of(error))


def _answer(problem: Problem) -> JSONResponse:
    return JSONResponse({"error": problem.error}, problem.status, dict(problem.headers))
