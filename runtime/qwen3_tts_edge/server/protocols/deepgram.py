"""Deepgram's speech: `/v1/speak`, a socket with one text at a time, or `POST` for one answer.

The model is the voice. What only Deepgram's service knows is ignored, as `mip_opt_out` and `tag`;
a `callback` is refused, for sound is sent to nobody but who asks.

Source: https://developers.deepgram.com/reference/text-to-speech/speak-streaming
"""

import uuid
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from pydantic import BaseModel, Field, TypeAdapter
from starlette.responses import Response
from starlette.websockets import WebSocket

from qwen3_tts_edge.server.doors.request_id import id_of
from qwen3_tts_edge.server.problems import FieldError, Problem
from qwen3_tts_edge.server.protocols.asked import Fields
from qwen3_tts_edge.server.protocols.response import SpeechResponse
from qwen3_tts_edge.server.protocols.said import unheard, without
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.sockets.context import Context, Message
from qwen3_tts_edge.server.sockets.conversation import Conversation, Seed, parsed
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.version import VERSION

_FIELDS = Fields(voice="model", form="encoding", rate="sample_rate", bitrate="bit_rate")
_RAW = {"linear16": "pcm", "mulaw": "pcm_mulaw", "alaw": "pcm_alaw"}
_WAV = {"linear16": "wav", "mulaw": "wav_mulaw", "alaw": "wav_alaw"}
_CONTAINERS = {**dict.fromkeys(_RAW, ("wav", "none")), "opus": ("ogg",)}
"""Of encodings, the usual one first; the others have none."""

_Callback = Annotated[
    str | None, unheard("no address is called from here; leave it out, the sound is the answer")
]

Plain = Annotated[str, without(r'\\\{(?:"word"|pause:)[^{}]*\}')]
"""A text without what Deepgram reads as a pronunciation or a pause."""


class Asked(BaseModel):
    """What stands in the address."""

    model: str | None = None
    sample_rate: int | None = None
    speed: float = 1.0
    seed: Seed = None
    language: str | None = None

    def request(self, service: Service) -> Request:
        """Read what is asked for, without the text."""
        return _FIELDS.request(service, self.model, self.language, self.seed)

    def described(self, service: Service) -> dict[str, str]:
        """Describe who speaks, as Deepgram's clients are told."""
        name = self.model or service.name
        return {"model_name": name, "model_uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, name))}


class Socket(Asked):
    """The address of a socket, whose sound has no container."""

    encoding: Literal["linear16", "mulaw", "alaw"] = "linear16"
    container: Literal["none"] = "none"

    def encoder(self, service: Service) -> Encoder:
        """Make an encoder of the sound that is asked for."""
        name = _RAW[self.encoding]
        return _FIELDS.encoder(service, name, rate=self.sample_rate, speed=self.speed)


class Whole(Asked):
    """The address of a request, whose sound is a file unless told otherwise."""

    encoding: Literal["linear16", "mulaw", "alaw", "mp3", "opus", "flac", "aac"] = "mp3"
    container: Literal["none", "wav", "ogg"] | None = None
    bit_rate: int | None = None
    callback: _Callback = None
    callback_method: _Callback = None

    def encoder(self, service: Service) -> Encoder:
        """Make an encoder of the sound that is asked for."""
        containers = _CONTAINERS.get(self.encoding, ("none",))
        if self.container not in (None, *containers):
            raise FieldError(
                "container",
                f"no {self.encoding} in {self.container}",
                f"leave it out, or use {' or '.join(containers)}",
            )
        names = _RAW if self.container == "none" else _WAV
        name = names.get(self.encoding, self.encoding)
        return _FIELDS.encoder(
            service, name, rate=self.sample_rate, bitrate=self.bit_rate, speed=self.speed
        )


class Text(BaseModel):
    """The body of a request."""

    text: Annotated[Plain, Field(min_length=1)]


class Speak(BaseModel):
    """A message with text."""

    type: Literal["Speak"]
    text: Plain


class _Order(BaseModel):
    type: Literal["Flush", "Clear", "Close"]


_MESSAGE: TypeAdapter[Speak | _Order] = TypeAdapter(
    Annotated[Speak | _Order, Field(discriminator="type")]
)


def answer(service: Service, body: Text, asked: Whole, http: HttpRequest) -> Response:
    """Answer a request with its sound."""
    form, request = asked.encoder(service), asked.request(service)
    told = asked.described(service)
    return SpeechResponse(
        service,
        http,
        request,
        form,
        text=body.text,
        field="text",
        transport="deepgram",
        headers={  # that its clients before version 5 need
            "dg-request-id": id_of(http),
            "dg-model-name": quote(told["model_name"]),  # whose letters a header may not hold
            "dg-model-uuid": told["model_uuid"],
            "dg-char-count": str(len(body.text)),
        },
    )


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.websocket("/v1/speak")
    async def websocket(websocket: WebSocket, asked: Annotated[Socket, Query()]) -> None:
        asked.encoder(service)  # what is wrong is said before the socket is open
        await _Deepgram(service, websocket, asked, asked.request(service)).run()

    @routes.post("/v1/speak", response_class=Response)
    async def speech(body: Text, asked: Annotated[Whole, Query()], http: HttpRequest) -> Response:
        """Speak a text."""
        return answer(service, body, asked, http)

    return routes


class _Deepgram(Conversation):
    transport = "deepgram"

    def __init__(
        self, service: Service, websocket: WebSocket, asked: Socket, request: Request
    ) -> None:
        super().__init__(service, websocket)
        self._asked, self._request = asked, request
        self._order = 0  # of what is answered to flushes and clears
        self._flushes = 0  # not answered yet
        self._begun = False  # whether there is text behind the last of them

    def greeting(self) -> list[Message]:
        return [
            {
                "type": "Metadata",
                "request_id": id_of(self._websocket),
                **self._asked.described(self.service),
                "model_version": VERSION,
            }
        ]

    def take(self, text: str) -> list[Message]:
        message = parsed(_MESSAGE, text)
        if isinstance(message, Speak):
            self._context().append(message.text)
            self._begun = True
        elif message.type == "Flush":
            return self._flush()
        elif message.type == "Clear":
            self.close("")
            self._flushes, self._begun = 0, False
            return self._ordered("Cleared")
        else:
            self.finish()
        return []

    def refused(self, text: str, problem: Problem) -> list[Message]:
        # Not an error: clients end the speech at that, and it goes on.
        return [{"type": "Warning", "warn_code": problem.err_code, "warn_msg": problem.message}]

    def sound(self, data: bytes) -> list[Message]:
        return [data]

    def flushed(self) -> list[Message]:
        self._flushes -= 1
        return self._ordered("Flushed")

    def done(self) -> list[Message]:
        return []

    def failed(self, problem: Problem) -> list[Message]:
        error = {"type": "Error", "err_code": problem.err_code, "err_msg": problem.message}
        if not self._begun:
            self.close("")  # what comes next is another text
        # Some wait for their flush and know of no errors.
        return [error, *(each for _ in range(self._flushes) for each in self.flushed())]

    def _context(self) -> Context:
        known = self.contexts.get("")
        return known or self.open("", self._request, self._asked.encoder(self.service), self)

    def _flush(self) -> list[Message]:
        context = self.contexts.get("")
        self._flushes += 1
        self._begun = False
        if context is not None and not context.failed:
            context.flush()
            return []
        self.close("")  # the text that failed ends here
        return self.flushed()

    def _ordered(self, kind: str) -> list[Message]:
        self._order += 1
        return [{"type": kind, "sequence_id": self._order - 1}]
