"""ElevenLabs' speech: `/v1/text-to-speech/{voice}`, and its sockets, of one text and of many.

What only ElevenLabs' own models know is ignored: their names and all voice settings but the speed,
which the first message of a text says. SSML is refused, for its tags would be spoken, and so are
dictionaries and effects. When a letter is heard is not known here: where timestamps are asked for
the sound comes as it does there, and the alignment is null, as the vendor's may be.

Source: https://elevenlabs.io/docs/api-reference/text-to-speech, `stream-input` and
`multi-stream-input`
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any
from weakref import WeakKeyDictionary

import msgspec
from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from pydantic import TypeAdapter
from starlette.responses import Response
from starlette.websockets import WebSocket

from qwen3_tts_edge.server.problems import FieldError, Problem
from qwen3_tts_edge.server.protocols.elevenlabs_body import (
    CONTEXT,
    FIELDS,
    Asked,
    Settings,
    SocketMessage,
    Text,
)
from qwen3_tts_edge.server.protocols.response import SpeechResponse, sound
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.sockets.context import Answers, Context, Message
from qwen3_tts_edge.server.sockets.conversation import REFUSED, Conversation, field_of, parsed
from qwen3_tts_edge.server.speaking.session import Session
from qwen3_tts_edge.speech.request import Request

_MESSAGE = TypeAdapter(SocketMessage)


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.websocket("/v1/text-to-speech/{voice}/stream-input")
    async def text(websocket: WebSocket, voice: str, asked: Annotated[Asked, Query()]) -> None:
        await _OneText(service, websocket, asked, _request(service, voice, asked)).run()

    @routes.websocket("/v1/text-to-speech/{voice}/multi-stream-input")
    async def texts(websocket: WebSocket, voice: str, asked: Annotated[Asked, Query()]) -> None:
        await _Texts(service, websocket, asked, _request(service, voice, asked)).run()

    @routes.post("/v1/text-to-speech/{voice}", response_class=Response)
    @routes.post("/v1/text-to-speech/{voice}/stream", response_class=Response)
    async def speech(
        body: Text, voice: str, http: HttpRequest, output_format: str = "mp3_44100_128"
    ) -> Response:
        """Speak a text."""
        return _answer(service, body, voice, http, output_format)

    @routes.post("/v1/text-to-speech/{voice}/with-timestamps", response_class=Response)
    async def whole(
        body: Text, voice: str, http: HttpRequest, output_format: str = "mp3_44100_128"
    ) -> Response:
        """Speak a text, as JSON; without timestamps."""
        json = {"content": _in_json, "media_type": "application/json"}
        return _answer(service, body, voice, http, output_format, **json)

    @routes.post("/v1/text-to-speech/{voice}/stream/with-timestamps", response_class=Response)
    async def lines(
        body: Text, voice: str, http: HttpRequest, output_format: str = "mp3_44100_128"
    ) -> Response:
        """Speak a text, as lines of JSON; without timestamps."""
        lines = {"content": _in_lines, "media_type": "application/x-ndjson"}
        return _answer(service, body, voice, http, output_format, **lines)

    return routes


def _answer(
    service: Service, body: Text, voice: str, http: HttpRequest, output_format: str, **how: Any
) -> Response:
    form = (body.voice_settings or Settings()).encoder(service, output_format)
    request = FIELDS.request(service, voice, body.language_code, body.seed)
    return SpeechResponse(
        service, http, request, form, text=body.text, field="text", transport="elevenlabs", **how
    )


async def _in_lines(session: Session) -> AsyncIterator[bytes]:
    async for data in sound(session):
        yield _timed(data) + b"\n"


async def _in_json(session: Session) -> AsyncIterator[bytes]:
    yield _timed(b"".join([data async for data in sound(session)]))


def _timed(data: bytes) -> bytes:
    return msgspec.json.encode(
        {"audio_base64": data, "alignment": None, "normalized_alignment": None}
    )


def _request(service: Service, voice: str, asked: Asked) -> Request:
    """Make a request of an address; what is wrong is said before the socket is open."""
    asked.check(service)
    return FIELDS.request(service, voice, asked.language_code, asked.seed)


class _Texts(Conversation):
    transport = "elevenlabs"

    def __init__(
        self, service: Service, websocket: WebSocket, asked: Asked, request: Request
    ) -> None:
        super().__init__(service, websocket)
        self._asked, self._request = asked, request
        self._speeds: WeakKeyDictionary[Context, float] = WeakKeyDictionary()

    def take(self, text: str) -> list[Message]:
        message = parsed(_MESSAGE, text)
        if message.text or not (message.close_context or message.close_socket):
            self._append(message)
        if message.close_socket:
            self.finish()
        elif message.close_context:
            return self._close(message.context_id)
        return []

    def refused(self, text: str, problem: Problem) -> Sequence[Message]:
        named = (field_of(text, name) for name in CONTEXT)
        return _Named(next(filter(None, named), None)).failed(problem)

    def answers(self, name: str) -> Answers:
        """Give the words for what happens in a context."""
        return _Named(name)

    def _append(self, message: SocketMessage) -> None:
        if (context := self._context(message)) is not None:
            context.append(message.text or "")
            if message.flush:
                context.flush()

    def _context(self, message: SocketMessage) -> Context | None:
        """Find the context of a message; empty text, which keeps a socket alive, opens none."""
        name, settings = message.context_id, message.voice_settings or Settings()
        context = self.contexts.get(name)
        if context is None and message.text:
            form = settings.encoder(self.service, self._asked.output_format)
            context = self.open(name, self._request, form, self.answers(name))
            self._speeds[context] = 1.0 if settings.speed is None else settings.speed
        elif context is not None and settings.speed not in (None, self._speeds[context]):
            raise FieldError(
                "voice_settings",
                "the context was begun with another speed",
                "begin another context",
            )
        return context

    def _close(self, name: str) -> list[Message]:
        """Speak the rest; whoever closes what is closed already wants to hear no more of it."""
        context = self.contexts.get(name)
        if context is not None and context.ended:
            self.close(name)
            return _Named(name).done()
        self.end(name)
        return []


class _OneText(_Texts):
    """An empty text ends it, and the socket with it; so does what is wrong, and says so."""

    def take(self, text: str) -> list[Message]:
        message = parsed(_MESSAGE, text)
        if message.text == "":
            self.finish()
        else:
            self._append(message.model_copy(update={"context_id": ""}))
        return []

    def refused(self, text: str, problem: Problem) -> Sequence[Message]:
        return self.answers("").failed(problem)

    def answers(self, name: str) -> Answers:
        return _Only(lambda: self.finish(REFUSED))


class _Named:
    """Words that name the context."""

    def __init__(self, context_id: str | None) -> None:
        self._context_id = context_id

    def sound(self, data: bytes) -> list[Message]:
        return [{"audio": data, "contextId": self._context_id}]

    def flushed(self) -> list[Message]:
        return []

    def done(self) -> list[Message]:
        return [{"isFinal": True, "contextId": self._context_id}]

    def failed(self, problem: Problem) -> list[Message]:
        code = problem.code or problem.kind
        return [{"error": problem.message, "code": code, "contextId": self._context_id}]


class _Only:
    """Words of a socket's only text. Clients know by the code of its end that it failed."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end

    def sound(self, data: bytes) -> list[Message]:
        return [{"audio": data, "isFinal": None, "alignment": None, "normalizedAlignment": None}]

    def flushed(self) -> list[Message]:
        return []

    def done(self) -> list[Message]:
        return [{"audio": None, "isFinal": True}]

    def failed(self, problem: Problem) -> list[Message]:
        self._end()
        kind = problem.code or problem.kind
        return [{"message": problem.message, "error": kind, "code": REFUSED}]
