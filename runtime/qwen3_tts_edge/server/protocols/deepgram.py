"""Deepgram's speech: `/v1/speak`, a socket with one text at a time, or `POST` for one answer.

The model is the voice. What only Deepgram's service knows is ignored, as `mip_opt_out` and `tag`;
a `callback` is refused, for sound is sent to nobody but who asks.

Source: https://developers.deepgram.com/reference/text-to-speech/speak-streaming
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from pydantic import BaseModel, Field, TypeAdapter
from starlette.responses import Response
from starlette.websockets import WebSocket

from qwen3_tts_edge.server.doors.request_id import id_of
from qwen3_tts_edge.server.problems import Problem
from qwen3_tts_edge.server.protocols.deepgram_body import Socket, Speak, Text, Whole
from qwen3_tts_edge.server.protocols.deepgram_both import OneText, answer
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.sockets.context import Message
from qwen3_tts_edge.server.sockets.conversation import parsed
from qwen3_tts_edge.version import VERSION


class _Order(BaseModel):
    type: Literal["Flush", "Clear", "Close"]


_MESSAGE: TypeAdapter[Speak | _Order] = TypeAdapter(
    Annotated[Speak | _Order, Field(discriminator="type")]
)


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.websocket("/v1/speak")
    async def websocket(websocket: WebSocket, asked: Annotated[Socket, Query()]) -> None:
        await _Deepgram(service, websocket, asked).run()

    @routes.post("/v1/speak", response_class=Response)
    async def speech(body: Text, asked: Annotated[Whole, Query()], http: HttpRequest) -> Response:
        """Speak a text."""
        return answer(service, body, asked, http)

    return routes


class _Deepgram(OneText):
    def __init__(self, service: Service, websocket: WebSocket, asked: Socket) -> None:
        super().__init__(service, websocket, asked)
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
            self.append(message.text)
            self._begun = True
        elif message.type == "Flush":
            self._flushes += 1
            self._begun = False
            return [] if self.flush() else self.flushed()
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

    def _ordered(self, kind: str) -> list[Message]:
        self._order += 1
        return [{"type": kind, "sequence_id": self._order - 1}]
