"""Deepgram's Flux: `/v2/speak`, a socket of turns, a text and its flush each, or `POST` for one.

What was heard of a turn that is interrupted nobody here knows, so `text_spoken` is left out, as it
is there without an offset. Another speed begins with a turn that no other is spoken before. What is
wrong with a message is an error, as there, but the socket stays open and the turn goes on.

Source: https://developers.deepgram.com/reference/text-to-speech/speak-flux
"""

from collections import deque
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from pydantic import BaseModel, Field, TypeAdapter
from starlette.responses import Response
from starlette.websockets import WebSocket

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.server.doors.request_id import id_of
from qwen3_tts_edge.server.problems import Problem, problem_of
from qwen3_tts_edge.server.protocols.deepgram_body import Socket, Speak, Text, Whole
from qwen3_tts_edge.server.protocols.deepgram_both import OneText, answer
from qwen3_tts_edge.server.protocols.deepgram_turn import Turn
from qwen3_tts_edge.server.protocols.said import Said, unheard
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.sockets.context import Message
from qwen3_tts_edge.server.sockets.conversation import field_of, parsed
from qwen3_tts_edge.sound.tempo import SPEEDS
from qwen3_tts_edge.version import VERSION

_Expressivity = Annotated[int | None, unheard("no voice here has it; leave it out, or use 0", 0)]


class _Address(Socket):
    """The address of a socket."""

    expressivity: _Expressivity = None


class _WholeAddress(Whole):
    """The address of a request."""

    expressivity: _Expressivity = None


class _Order(BaseModel):
    type: Literal["Flush", "Close"]


class _Offset(BaseModel):
    type: Literal["time_ms"]
    value: Annotated[int, Field(ge=0, lt=2**53)]


class _Interrupt(Said):
    type: Literal["Interrupt"]
    playback_offset: _Offset | None = None


class _Configure(Said):
    type: Literal["Configure"]
    speed: float | None = None


_Message = Speak | _Order | _Interrupt | _Configure
_MESSAGE: TypeAdapter[_Message] = TypeAdapter(Annotated[_Message, Field(discriminator="type")])


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.websocket("/v2/speak")
    async def websocket(websocket: WebSocket, asked: Annotated[_Address, Query()]) -> None:
        await _Flux(service, websocket, asked).run()

    @routes.post("/v2/speak", response_class=Response)
    async def speech(
        body: Text, asked: Annotated[_WholeAddress, Query()], http: HttpRequest
    ) -> Response:
        """Speak a text."""
        return answer(service, body, asked, http)

    return routes


class _Flux(OneText):
    def __init__(self, service: Service, websocket: WebSocket, asked: _Address) -> None:
        super().__init__(service, websocket, asked)
        rate = asked.encoder(service).sample_rate
        self._bytes = rate * (2 if asked.encoding == "linear16" else 1) / 1000  # of a ms
        self._turns: deque[Turn] = deque()  # the first is spoken, the last may lack text
        self._reconfigured = False
        self._characters = 0
        self._duration = 0.0  # of all sound, but of what was interrupted only what was played
        self._interrupted = -1  # where, in ms

    def greeting(self) -> list[Message]:
        told = self._asked.described(self.service)
        return [
            {
                "type": "Connected",
                "request_id": id_of(self._websocket),
                "model_name": told["model_name"],
                "model_version": VERSION,
                "model_uuids": [told["model_uuid"]],
            }
        ]

    def farewell(self) -> list[Message]:
        told = {
            "total_audio_duration_ms": round(self._duration),
            "total_input_character_count": self._characters,
            "total_billable_character_count": self._characters,
        }
        return [{"type": "SessionMetadata", **told}]

    def take(self, text: str) -> list[Message]:
        message = parsed(_MESSAGE, text)
        if isinstance(message, Speak):
            turn = self._turn()
            self.append(message.text)
            turn.characters += len(message.text)
            self._characters += len(message.text)
        elif isinstance(message, _Interrupt):
            return self._interrupt(message.playback_offset)
        elif isinstance(message, _Configure):
            return self._configure(message.speed)
        elif message.type == "Flush":
            return self._flush()
        else:
            self.finish()
        return []

    def refused(self, text: str, problem: Problem) -> list[Message]:
        if field_of(text, "type") == "Speak":
            self._turn()  # whose end its client will wait for
        return [_error(problem)]

    def sound(self, data: bytes) -> list[Message]:
        turn, duration = self._turns[0], len(data) / self._bytes
        turn.duration += duration
        self._duration += duration
        return [*turn.begin(), data]

    def flushed(self) -> list[Message]:
        nothing = _warning("NO_SYNTHESIZABLE_TEXT", "the turn has no word to say")
        silent = not self._turns[0].duration
        return [*self._turns[0].begin(), *([nothing] if silent else []), *self._end(1)]

    def done(self) -> list[Message]:
        return self._end(len(self._turns))  # of the last there was no flush

    def failed(self, problem: Problem) -> list[Message]:
        if not self._growing:
            self.close("")  # what comes next is another text
        return [_error(problem), *self._end(sum(turn.flushed for turn in self._turns))]

    @property
    def _growing(self) -> bool:
        """Whether there is a turn that may get more text."""
        return bool(self._turns) and not self._turns[-1].flushed

    def _turn(self) -> Turn:
        """Give the turn that gets text; begin one."""
        if not self._growing:
            if self._reconfigured and not self._turns:
                self.close("")
                self._reconfigured = False
            self._turns.append(Turn())
        return self._turns[-1]

    def _end(self, count: int) -> list[Message]:
        return [each for _ in range(count) for each in self._turns.popleft().end()]

    def _flush(self) -> list[Message]:
        if not self._growing:
            return [_warning("NO_ACTIVE_SPEECH", "there is no turn to flush")]
        if not self.flush():
            return self._end(1)
        self._turns[-1].flushed = True
        return []

    def _interrupt(self, offset: _Offset | None) -> list[Message]:
        """End all turns, for whoever interrupts has not asked for what comes next either."""
        if not self._turns:
            return [_warning("NO_ACTIVE_SPEECH", "there is no turn to interrupt")]
        played = round(self._duration) if offset is None else offset.value
        if offset is not None and played <= self._interrupted:
            found = f"the offset is {played} ms, and one before was {self._interrupted} ms"
            return [_warning("INVALID_INTERRUPT_OFFSET", found)]
        self.close("")
        turn = self._turns[0]
        self._turns.clear()
        self._duration = self._interrupted = played
        told = {"audio_played_ms": played, "metadata": turn.told()}
        return [*turn.begin(), {"type": "SpeechInterrupted", **told}]

    def _configure(self, speed: float | None) -> list[Message]:
        if speed is None:
            return [{"type": "ConfigureSuccess", "applied": {}}]
        asked = self._asked.model_copy(update={"speed": speed})
        try:
            asked.encoder(self.service)
        except InputError as error:
            within = SPEEDS[0] <= speed <= SPEEDS[1]
            told = {
                "code": "SPEED_NOT_SUPPORTED" if within else "SPEED_OUT_OF_RANGE",
                "field": "speed",
                "value": speed,
                "description": problem_of(error).message,
            }
            return [{"type": "ConfigureFailure", **told}]
        self._asked, self._reconfigured = asked, True
        return [{"type": "ConfigureSuccess", "applied": {"speed": speed}}]


def _warning(code: str, found: str) -> Message:
    return {"type": "Warning", "code": code, "description": found}


def _error(problem: Problem) -> Message:
    return {"type": "Error", "code": problem.err_code, "description": problem.message}
