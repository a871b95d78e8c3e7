"""ElevenLabs' speech: `/v1/text-to-speech/{voice}`, and its socket with contexts side by side.

What only ElevenLabs' own models know is ignored: their names and all voice settings but the speed,
which the first message of a context says. SSML is refused, for its tags would be spoken.

Source: https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
"""

import re
from typing import Annotated
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from pydantic import BaseModel, Field, TypeAdapter
from starlette.responses import Response
from starlette.websockets import WebSocket

from qwen3_tts_edge.server.asked import Fields
from qwen3_tts_edge.server.context import Context, Message
from qwen3_tts_edge.server.conversation import Conversation, Seed, field_of, parsed
from qwen3_tts_edge.server.problems import FieldError, Problem
from qwen3_tts_edge.server.response import SpeechResponse
from qwen3_tts_edge.server.said import Said
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.request import Request

_FORMAT = re.compile(r"(mp3|pcm|ulaw|alaw|opus|wav)_(\d{4,6})(?:_(\d{1,3}))?")
_FIELDS = Fields(language="language_code", speed="voice_settings")
_OURS = {"ulaw": "pcm_mulaw", "alaw": "pcm_alaw"}


class _Settings(Said):
    speed: float | None = None

    def encoder(self, service: Service, output_format: str) -> Encoder:
        if (found := _FORMAT.fullmatch(output_format)) is None:
            raise FieldError(
                "output_format", f"there is no {output_format[:40]!r}", "use pcm_24000 for one"
            )
        name, rate, kilobits = found.groups()
        return _FIELDS.encoder(
            service,
            _OURS.get(name, name),
            rate=int(rate),
            bitrate=1000 * int(kilobits) if kilobits else None,
            speed=self.speed,
        )


class Text(Said):
    """The body of a request."""

    text: Annotated[str, Field(min_length=1)]
    language_code: str | None = None
    voice_settings: _Settings | None = None
    seed: Annotated[int | None, Field(ge=-1, lt=2**64)] = None


class _Asked(BaseModel):
    """What stands in the address of a socket."""

    output_format: str = "mp3_44100_128"
    language_code: str | None = None
    enable_ssml_parsing: bool = False
    seed: Seed = None

    def check(self, service: Service) -> None:
        """Refuse what is not to be had in any message."""
        _Settings().encoder(service, self.output_format)
        if self.enable_ssml_parsing:
            raise FieldError(
                "enable_ssml_parsing", "no SSML is read here", "leave it out, and send plain text"
            )


class _Message(Said):
    context_id: str = ""
    text: str | None = None
    voice_settings: _Settings | None = None
    flush: bool = False
    close_context: bool = False
    close_socket: bool = False


_MESSAGE = TypeAdapter(_Message)


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.websocket("/v1/text-to-speech/{voice}/multi-stream-input")
    async def websocket(
        websocket: WebSocket, voice: str, asked: Annotated[_Asked, Query()]
    ) -> None:
        asked.check(service)  # what is wrong is said before the socket is open
        request = _FIELDS.request(service, voice, asked.language_code, asked.seed)
        await _ElevenLabs(service, websocket, asked, request).run()

    @routes.post("/v1/text-to-speech/{voice}", response_class=Response)
    @routes.post("/v1/text-to-speech/{voice}/stream", response_class=Response)
    async def speech(
        body: Text, voice: str, http: HttpRequest, output_format: str = "mp3_44100_128"
    ) -> Response:
        """Speak a text."""
        form = (body.voice_settings or _Settings()).encoder(service, output_format)
        request = _FIELDS.request(service, voice, body.language_code, body.seed)
        return SpeechResponse(
            service, http, request, form, text=body.text, field="text", transport="elevenlabs"
        )

    return routes


class _ElevenLabs(Conversation):
    transport = "elevenlabs"

    def __init__(
        self, service: Service, websocket: WebSocket, asked: _Asked, request: Request
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

    def refused(self, text: str, problem: Problem) -> list[Message]:
        return _Answers(field_of(text, "context_id")).failed(problem)

    def _append(self, message: _Message) -> None:
        if (context := self._context(message)) is not None:
            context.append(message.text or "")
            if message.flush:
                context.flush()

    def _context(self, message: _Message) -> Context | None:
        """Find the context of a message; empty text, which keeps a socket alive, opens none."""
        name, settings = message.context_id, message.voice_settings or _Settings()
        context = self.contexts.get(name)
        if context is None and message.text:
            form = settings.encoder(self.service, self._asked.output_format)
            context = self.open(name, self._request, form, _Answers(name))
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
            return _Answers(name).done()
        self.end(name)
        return []


class _Answers:
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
