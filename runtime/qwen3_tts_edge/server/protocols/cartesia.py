"""Cartesia's speech: `/tts/websocket`, where contexts speak side by side, `/tts/bytes`, `/tts/sse`.

What only Cartesia's own models know is ignored: their names, and timestamps, which clients ask for
and do without. What would be heard is refused: emotions, volume, dictionaries. A context keeps its
voice, its language and its format; how fast it is says its first message, for clients send another
speed for the next one.

Source: https://docs.cartesia.ai/api-reference/tts/websocket;
    https://docs.cartesia.ai/use-the-api/api-errors
"""

import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from pydantic import TypeAdapter
from starlette.responses import Response
from starlette.websockets import WebSocket

from qwen3_tts_edge.server.doors.request_id import id_of
from qwen3_tts_edge.server.problems import Problem, problem_of
from qwen3_tts_edge.server.protocols.cartesia_body import Generation, Part
from qwen3_tts_edge.server.protocols.response import EVENTS, SpeechResponse, event, sound
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.sockets.context import Context
from qwen3_tts_edge.server.sockets.conversation import Conversation, Seed, field_of, parsed
from qwen3_tts_edge.server.speaking.session import Session

_PART = TypeAdapter(Part)


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.websocket("/tts/websocket")
    async def websocket(websocket: WebSocket, seed: Seed = None) -> None:
        await _Cartesia(service, websocket, seed).run()

    @routes.post("/tts/bytes", response_class=Response)
    async def speech(body: Generation, http: HttpRequest, seed: Seed = None) -> Response:
        """Speak a text."""
        return _answer(service, body, http, seed)

    @routes.post("/tts/sse", response_class=Response)
    async def events(body: Generation, http: HttpRequest, seed: Seed = None) -> Response:
        """Speak a text, as the events that a socket's messages are."""
        answers = _Answers(body.context_id or secrets.token_hex(8), id_of(http))
        content = partial(_events, answers)
        return _answer(service, body, http, seed, content=content, media_type=EVENTS)

    return routes


def _answer(
    service: Service, body: Generation, http: HttpRequest, seed: int | None, **how: Any
) -> Response:
    form, request = body.encoder(service), body.request(service, seed)
    return SpeechResponse(
        service,
        http,
        request,
        form,
        text=body.transcript,
        field="transcript",
        transport="cartesia",
        **how,
    )


async def _events(answers: "_Answers", session: Session) -> AsyncIterator[bytes]:
    try:
        async for data in sound(session):
            yield _written(answers.sound(data))
    except Exception as error:
        yield _written(answers.failed(problem_of(error)))
        raise
    yield _written(answers.done())


def _written(messages: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(event(each["type"], each) for each in messages)


class _Cartesia(Conversation):
    transport, field = "cartesia", "transcript"

    def __init__(self, service: Service, websocket: WebSocket, seed: int | None) -> None:
        super().__init__(service, websocket)
        self._seed = seed
        self._first: WeakKeyDictionary[Context, Part] = WeakKeyDictionary()
        self._request_id = id_of(websocket)

    def take(self, text: str) -> list[Mapping[str, Any]]:
        message = parsed(_PART, text)
        name = message.context_id or secrets.token_hex(8)
        if message.cancel:
            self.close(name)
            return []
        context = self.contexts.get(name) or self._begin(name, message)
        # What only ends a context may be of another voice: that of what its client says next.
        if message.transcript.strip() and not context.failed:
            message.check(self._first[context])
        context.append(message.transcript)
        if message.flush:
            context.flush()
        if not message.goes_on:
            self.end(name)
        return []

    def refused(self, text: str, problem: Problem) -> list[Mapping[str, Any]]:
        return _Answers(field_of(text, "context_id"), self._request_id).failed(problem)

    def _begin(self, name: str, message: Part) -> Context:
        request, form = message.request(self.service, self._seed), message.encoder(self.service)
        context = self.open(name, request, form, _Answers(name, self._request_id))
        self._first[context] = message
        return context


class _Answers:
    """Every message has a `context_id`, for clients look there before anything else."""

    def __init__(self, context_id: str | None, request_id: str) -> None:
        self._context_id, self._request_id = context_id, request_id
        self._flushes = 0
        self._last = time.monotonic()

    def sound(self, data: bytes) -> list[Mapping[str, Any]]:
        before, self._last = self._last, time.monotonic()
        step = round(1000 * (self._last - before), 3)
        return [self._message("chunk", 206, done=False, data=data, step_time=step)]

    def flushed(self) -> list[Mapping[str, Any]]:
        self._flushes += 1
        return [
            self._message("flush_done", 206, done=False, flush_done=True, flush_id=self._flushes)
        ]

    def done(self) -> list[Mapping[str, Any]]:
        return [self._message("done", 200, done=True)]

    def failed(self, problem: Problem) -> list[Mapping[str, Any]]:
        return [
            self._message(
                "error",
                problem.status,
                done=True,
                title=HTTPStatus(problem.status).phrase,
                message=problem.message,
                error=problem.message,  # where its clients before version 3 look, and pipecat's
                error_code=problem.code or problem.kind,
                request_id=self._request_id,
            )
        ]

    def _message(self, kind: str, status: int, *, done: bool, **more: Any) -> Mapping[str, Any]:
        head = {"type": kind, "context_id": self._context_id, "status_code": status, "done": done}
        return {**head, **more}
