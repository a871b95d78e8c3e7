"""`/v1/realtime`: as much of OpenAI's Realtime as programs use that only want to hear a text.

A response speaks the text of its `input`, word for word, or where it has none of the items that
were added to the conversation and not spoken yet. `instructions` are for a model that makes up what
to say, and are ignored.

Source: https://platform.openai.com/docs/api-reference/realtime
"""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field, TypeAdapter
from starlette.websockets import WebSocket

from qwen3_tts_edge.server.problems import FieldError, Problem
from qwen3_tts_edge.server.protocols.asked import Fields
from qwen3_tts_edge.server.protocols.realtime_items import Item, Items
from qwen3_tts_edge.server.protocols.said import Said, unheard
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.sockets.context import Message
from qwen3_tts_edge.server.sockets.conversation import Conversation, Seed, field_of, parsed
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.request import Request

_FIELDS = Fields(
    voice="session.audio.output.voice",
    form="session.audio.output.format",
    rate="session.audio.output.format",
    speed="session.audio.output.speed",
)
_OURS = {"audio/pcm": "pcm", "audio/pcmu": "pcm_mulaw", "audio/pcma": "pcm_alaw"}


class _Id(Said):
    id: str


class _Format(Said):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int | None = None


class _Output(Said):
    """How it sounds; what is None was not said."""

    voice: str | _Id | None = None
    format: _Format | None = None
    speed: float | None = None

    def over(self, other: "_Output") -> "_Output":
        """Put what is said here over what was said before."""
        said = {name: value for name, value in self if value is not None}
        return other.model_copy(update=said)


class _Audio(Said):
    output: _Output = _Output()


_Moved = Annotated[Any, unheard("this is of an older version; say it in audio.output")]


class _Session(Said):
    audio: _Audio = _Audio()
    output_modalities: Annotated[Any, unheard('only ["audio"] is to be had', ["audio"])] = None
    voice: _Moved = None
    output_audio_format: _Moved = None


class _Response(_Session):
    input: list[Item] | None = None


class _Update(Said):
    type: Literal["session.update"]
    session: _Session


class _Add(Said):
    type: Literal["conversation.item.create"]
    item: Item
    previous_item_id: str | None = None


class _Remove(Said):
    type: Literal["conversation.item.delete"]
    item_id: str


class _Create(Said):
    type: Literal["response.create"]
    response: _Response = _Response()


class _Cancel(Said):
    type: Literal["response.cancel"]
    response_id: str | None = None


class _Truncate(Said):
    """What clients say of sound that was interrupted: how much of it was heard."""

    type: Literal["conversation.item.truncate"]
    item_id: str
    content_index: Annotated[int, Field(ge=0)] = 0
    audio_end_ms: Annotated[int, Field(ge=0)]


_Message = _Update | _Add | _Remove | _Create | _Cancel | _Truncate
_MESSAGE: TypeAdapter[_Message] = TypeAdapter(Annotated[_Message, Field(discriminator="type")])


def router(service: Service) -> APIRouter:
    """Make the route."""
    routes = APIRouter()

    @routes.websocket("/v1/realtime")
    async def websocket(websocket: WebSocket, model: str | None = None, seed: Seed = None) -> None:
        service.check_model(model)
        await _Realtime(service, websocket, seed).run()

    return routes


class _Realtime(Conversation):
    transport, field = "realtime", "response.input"

    def __init__(self, service: Service, websocket: WebSocket, seed: int | None) -> None:
        super().__init__(service, websocket)
        self._seed = seed
        self._id = f"sess_{secrets.token_hex(12)}"
        self._items = Items(service.settings.largest_text)
        self._output = _Output(format=_Format(rate=service.synthesizer.manifest.sample_rate))

    def greeting(self) -> list[Message]:
        return [_event("session.created", session=self._session())]

    def take(self, text: str) -> list[Message]:
        message = parsed(_MESSAGE, text)
        if isinstance(message, _Update):
            output = message.session.audio.output.over(self._output)
            self._spoken(output)  # what is wrong with it is said now
            self._output = output
            return [_event("session.updated", session=self._session())]
        if isinstance(message, _Add):
            told = self._items.add(message.item, message.previous_item_id)
            return [_event(f"conversation.item.{each}", **told) for each in ("added", "done")]
        if isinstance(message, _Remove):
            self._items.remove(message.item_id)
            return [_event("conversation.item.deleted", item_id=message.item_id)]
        if isinstance(message, _Create):
            return self._create(message.response)
        if isinstance(message, _Truncate):  # sound that was made is not kept
            heard = message.model_dump(exclude={"type"})
            return [_event("conversation.item.truncated", **heard)]
        return self._cancel(message.response_id)

    def refused(self, text: str, problem: Problem) -> list[Message]:
        return [_event("error", error={**problem.error, "event_id": field_of(text, "event_id")})]

    def _session(self) -> Mapping[str, Any]:
        return {
            "id": self._id,
            "object": "realtime.session",
            "type": "realtime",
            "model": self.service.name,
            "output_modalities": ["audio"],
            "audio": {"output": self._output.model_dump(exclude_none=True)},
        }

    def _spoken(self, output: _Output) -> tuple[Request, Encoder]:
        """Read how it shall sound."""
        voice, form = output.voice, output.format or _Format()
        name = voice.id if isinstance(voice, _Id) else voice
        kind = _OURS[form.type]
        sound = _FIELDS.encoder(self.service, kind, rate=form.rate, speed=output.speed)
        return _FIELDS.request(self.service, name, None, self._seed), sound

    def _create(self, asked: _Response) -> list[Message]:
        given = asked.input is not None
        texts = [item.text for item in asked.input or ()] if given else self._items.unspoken
        if not (given or any(texts)):
            raise FieldError(
                "response.input", "there is nothing to say", "give or add a message with the text"
            )
        request, sound = self._spoken(asked.audio.output.over(self._output))
        answers = _Answers()
        context = self.open(answers.id, request, sound, answers)
        try:
            context.append("\n".join(filter(None, texts)))
        except FieldError:
            self.close(answers.id)
            raise
        context.end()
        if not given:
            self._items.spoken()
        return answers.created()

    def _cancel(self, name: str | None) -> list[Message]:
        names = list(self.contexts) if name is None else [name]
        cancelled = [each for each in names if self.close(each)]
        if not cancelled:
            raise FieldError(
                "response_id",
                "there is no such response under way",
                code="response_cancel_not_active",
            )
        return [_done(each, "cancelled") for each in cancelled]


class _Answers:
    def __init__(self) -> None:
        self.id = f"resp_{secrets.token_hex(12)}"
        self._item: dict[str, Any] = {
            "response_id": self.id,
            "item_id": f"item_{secrets.token_hex(12)}",
            "output_index": 0,
            "content_index": 0,
        }

    def created(self) -> list[Message]:
        return [_event("response.created", response=_response(self.id, "in_progress"))]

    def sound(self, data: bytes) -> list[Message]:
        return [_event("response.output_audio.delta", **self._item, delta=data)]

    def flushed(self) -> list[Message]:
        return []

    def done(self) -> list[Message]:
        return [
            _event("response.output_audio.done", **self._item),
            _done(self.id, "completed"),
        ]

    def failed(self, problem: Problem) -> list[Message]:
        details = {"type": "failed", "error": {"type": problem.kind, "code": problem.code}}
        return [
            _event("error", error={**problem.error, "event_id": None}),
            _done(self.id, "failed", status_details=details),
        ]


def _done(name: str, status: str, **more: Any) -> Message:
    return _event("response.done", response={**_response(name, status), **more})


def _response(name: str, status: str) -> dict[str, Any]:
    return {"id": name, "object": "realtime.response", "status": status, "output": []}


def _event(kind: str, **content: Any) -> Message:
    return {"type": kind, "event_id": f"event_{secrets.token_hex(12)}", **content}
