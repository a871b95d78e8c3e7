"""Cartesia's speech: `/tts/websocket`, where contexts speak side by side, and `POST /tts/bytes`.

What only Cartesia's own models know is ignored: their names, emotions, volume, dictionaries, and
timestamps, which clients ask for and do without. Speed is what `generation_config` says, or in
older versions `speed` or `__experimental_controls` of the voice.

Source: https://docs.cartesia.ai/api-reference/tts/websocket
"""

import secrets
import time
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from pydantic import Field, TypeAdapter
from starlette.responses import Response
from starlette.websockets import WebSocket

from qwen3_tts_edge.server.asked import Fields
from qwen3_tts_edge.server.context import Message
from qwen3_tts_edge.server.conversation import Conversation, Seed, field_of, parsed
from qwen3_tts_edge.server.problems import FieldError, Problem
from qwen3_tts_edge.server.response import SpeechResponse
from qwen3_tts_edge.server.said import Said
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.request import Request

_SCALE = {"slowest": -1.0, "slow": -0.5, "normal": 0.0, "fast": 0.5, "fastest": 1.0}
_SLOWEST, _FASTEST = 0.6, 1.5
"""Of `generation_config.speed`, which came after that scale and has these ends."""

_Scaled = (
    Literal["slowest", "slow", "normal", "fast", "fastest"] | Annotated[float, Field(ge=-1, le=1)]
)


class _Controls(Said):
    speed: _Scaled | None = None


class _Voice(Said):
    id: str
    mode: Literal["id"] = "id"
    controls: Annotated[_Controls, Field(alias="__experimental_controls")] = _Controls()


class _Format(Said):
    container: Literal["raw", "wav", "mp3"] = "raw"
    encoding: Literal["pcm_s16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"] = "pcm_s16le"
    sample_rate: int | None = None
    bit_rate: int | None = None


class _Generation(Said):
    speed: float | None = None


class Generation(Said):
    """What a request and each message of a context say. The first of a context counts."""

    transcript: str = ""
    voice: _Voice | None = None
    language: str | None = None
    output_format: _Format = _Format()
    generation_config: _Generation | None = None
    speed: _Scaled | None = None

    def request(self, service: Service, seed: int | None) -> Request:
        """Read what is asked for, without the text."""
        name = self.voice.id if self.voice else None
        return Fields().request(service, name, self.language, seed)

    def encoder(self, service: Service) -> Encoder:
        """Make the encoder of the sound that is asked for."""
        form = self.output_format
        if form.container == "wav" and form.encoding != "pcm_s16le":
            raise FieldError("output_format", f"no {form.encoding} in wav", "use pcm_s16le or raw")
        field, speed = self._faster
        return Fields(speed=field).encoder(
            service,
            form.encoding if form.container == "raw" else form.container,
            rate=form.sample_rate,
            bitrate=form.bit_rate if form.container == "mp3" else None,
            speed=speed,
        )

    @property
    def _faster(self) -> tuple[str, float | None]:
        """How fast it is, and which field says so: the newest one of those that are there."""
        if self.generation_config is not None:
            return "generation_config", self.generation_config.speed
        if self.speed is not None:
            return "speed", _speed(self.speed)
        controls = self.voice.controls.speed if self.voice else None
        return "voice", None if controls is None else _speed(controls)


class _Message(Generation):
    context_id: str | None = None
    goes_on: Annotated[bool, Field(alias="continue")] = False
    flush: bool = False
    cancel: bool = False


_MESSAGE = TypeAdapter(_Message)


def _speed(scaled: str | float) -> float:
    """Read the older scale, on which 0 is as it is and the ends are 1 and -1."""
    at = _SCALE[scaled] if isinstance(scaled, str) else scaled
    return 1 + at * (_FASTEST - 1 if at > 0 else 1 - _SLOWEST)


def router(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()

    @routes.websocket("/tts/websocket")
    async def websocket(websocket: WebSocket, seed: Seed = None) -> None:
        await _Cartesia(service, websocket, seed).run()

    @routes.post("/tts/bytes", response_class=Response)
    async def speech(body: Generation, http: HttpRequest, seed: Seed = None) -> Response:
        """Speak a text."""
        service.check_length(body.transcript, "transcript")
        form = body.encoder(service)
        begin = partial(
            service.speak,
            body.request(service, seed),
            form,
            text=body.transcript,
            field="transcript",
            ended=True,
            transport="cartesia",
            key=http.state.key,
        )
        return SpeechResponse(begin, form)

    return routes


class _Cartesia(Conversation):
    transport, field = "cartesia", "transcript"

    def __init__(self, service: Service, websocket: WebSocket, seed: int | None) -> None:
        super().__init__(service, websocket)
        self._seed = seed

    def take(self, text: str) -> list[Message]:
        message = parsed(_MESSAGE, text)
        name = message.context_id or secrets.token_hex(8)
        if message.cancel:
            self.close(name)
            return []
        context = self.contexts.get(name) or self.open(
            name,
            message.request(self.service, self._seed),
            message.encoder(self.service),
            _Answers(name),
        )
        context.append(message.transcript)
        if message.flush:
            context.flush()
        if not message.goes_on:
            self.end(name)
        return []

    def refused(self, text: str, problem: Problem) -> list[Message]:
        return _Answers(field_of(text, "context_id")).failed(problem)


class _Answers:
    """Every message has a `context_id`, for clients look there before anything else."""

    def __init__(self, context_id: str | None) -> None:
        self._context_id = context_id
        self._flushes = 0
        self._last = time.monotonic()

    def sound(self, data: bytes) -> list[Message]:
        before, self._last = self._last, time.monotonic()
        step = round(1000 * (self._last - before), 3)
        return [self._message("chunk", 206, done=False, data=data, step_time=step)]

    def flushed(self) -> list[Message]:
        self._flushes += 1
        return [
            self._message("flush_done", 206, done=False, flush_done=True, flush_id=self._flushes)
        ]

    def done(self) -> list[Message]:
        return [self._message("done", 200, done=True)]

    def failed(self, problem: Problem) -> list[Message]:
        return [
            self._message(
                "error",
                problem.status,
                done=True,
                title=problem.kind,
                message=problem.message,
                error_code=problem.code or problem.kind,
            )
        ]

    def _message(self, kind: str, status: int, *, done: bool, **more: Any) -> Message:
        head = {"type": kind, "context_id": self._context_id, "status_code": status, "done": done}
        return {**head, **more}
