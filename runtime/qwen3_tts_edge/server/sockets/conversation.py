"""A websocket: its messages are read one by one, and its contexts speak at the same time."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Annotated, ClassVar, TypeVar

import msgspec
from fastapi import Query
from pydantic import TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from qwen3_tts_edge.errors import BusyError
from qwen3_tts_edge.server.problems import FieldError, Problem, invalid, problem_of
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.sockets.context import Answers, Context, Message
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.request import Request

T = TypeVar("T")
Seed = Annotated[int | None, Query(ge=-1, lt=2**64)]
"""In a socket's address: the same texts are spoken the same again. None of the vendors has it."""

REFUSED = 1008
"""The code with which a socket closes that was asked for what is not to be had."""

_CLOSED = 1000
"""And that of one that has said all there was to say."""

_GOING = 1001
"""And that of one whose server stops."""

_LARGEST = 128 << 10
"""Bytes of a message."""

_CONTEXTS = 32
"""Contexts of one socket at once."""

_IDLE = 3600.0
"""Seconds without a message after which a socket is closed. Clients keep theirs for so long."""


class Conversation(ABC):
    """A socket's side of a protocol: what its client says goes in, what is answered comes out.

    Attributes:
        transport: The protocol's name, for the metrics.
        field: Of its messages, that has the text.
        service: What speaks.
        contexts: By the names that the client gave them.
    """

    transport: ClassVar[str]
    field: ClassVar[str] = "text"

    def __init__(self, service: Service, websocket: WebSocket) -> None:
        """Take a socket; `run` accepts it."""
        self.service = service
        self.contexts: dict[str, Context] = {}
        self._websocket = websocket
        self._speaking: set[Context] = set()  # also what was closed and has not noticed yet
        self._finishing: asyncio.Task[None] | None = None
        self._code = _CLOSED

    @abstractmethod
    def take(self, text: str) -> Sequence[Message]:
        """Do what a message asks for, without waiting; return what is answered at once.

        Raises:
            InputError: It is malformed, or cannot be done.
        """

    @abstractmethod
    def refused(self, text: str, problem: Problem) -> Sequence[Message]:
        """Say that a message is malformed or cannot be done."""

    def greeting(self) -> Sequence[Message]:
        """Say the first words, before the client has said any."""
        return []

    def farewell(self) -> Sequence[Message]:
        """Say the last words, to a client that has asked for the end and heard all before it."""
        return []

    async def run(self) -> None:
        """Converse until the socket goes; then nobody speaks on it any more."""
        # Browsers hang up where they offer subprotocols and none of them is taken.
        offered = self._websocket.scope["subprotocols"]
        await self._websocket.accept(offered[0] if offered else None)
        leaving = asyncio.create_task(self._leave())
        self.service.conversations += 1
        try:
            await self.send(self.greeting())
            while (text := await self._received()) is not None:
                if self._finishing is None:
                    await self.send(self._taken(text))
                await asyncio.sleep(0)  # so that no two messages come in one turn of the loop
        finally:
            self.service.conversations -= 1
            leaving.cancel()
            if self._finishing is not None:
                self._finishing.cancel()
            self._close_all()
            await self._all_over()

    def open(
        self,
        name: str,
        request: Request,
        form: Encoder,
        answers: Answers,
    ) -> Context:
        """Begin a context.

        Args:
            name: None of `contexts`, or of one that is over.
            request: Its text is left out.
            form: The encoder of its sound.
            answers: What is told of it.

        Raises:
            BusyError: The socket has too many.
        """
        if len(self.contexts) >= _CONTEXTS:
            self._forget_one()
        context = self.contexts[name] = Context(
            lambda text, ended: self.service.speak(
                request,
                form,
                text=text,
                field=self.field,
                ended=ended,
                transport=self.transport,
                key=self._websocket.state.key,
            ),
            answers,
            self.send,
            field=self.field,
            largest=self.service.settings.largest_text,
        )
        self._speaking.add(context)
        context.task.add_done_callback(lambda _: self._over(name, context))
        return context

    def end(self, name: str) -> None:
        """End the text of a context, if there is one of that name."""
        if (context := self.contexts.get(name)) is not None:
            context.end()
            if context.failed:
                del self.contexts[name]

    def close(self, name: str) -> bool:
        """Say no more in a context; return whether there was one of that name."""
        context = self.contexts.pop(name, None)
        if context is not None and not context.failed:  # who failed says so and nothing else
            context.close()
        return context is not None

    def finish(self, code: int = _CLOSED) -> None:
        """Close the socket when all that was said so far is spoken; nothing more is taken.

        Args:
            code: Says why. Where that was said before, what went wrong is what counts.
        """
        self._code = max(self._code, code)
        if self._finishing is None:
            self._finishing = asyncio.create_task(self._finish())

    async def send(self, messages: Iterable[Message]) -> None:
        """Send messages; where nobody is there to take them nothing more is spoken."""
        try:
            for message in messages:
                if isinstance(message, bytes):
                    await self._websocket.send_bytes(message)
                else:
                    await self._websocket.send_text(msgspec.json.encode(message).decode())
        except (WebSocketDisconnect, RuntimeError):
            self._close_all()

    def _taken(self, text: str) -> Sequence[Message]:
        try:
            return self.take(text)
        except Exception as error:
            return self.refused(text, problem_of(error))

    async def _received(self) -> str | None:
        """Wait for the next message; None is the end of all."""
        try:
            message = await asyncio.wait_for(self._websocket.receive(), _IDLE)
        except asyncio.TimeoutError:
            await self._hang_up()
            return None
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        return "" if text is None else text  # bytes are no message of any of these protocols

    def _forget_one(self) -> None:
        """Forget a context that its client has forgotten: it has nothing more to say."""
        for name, context in self.contexts.items():
            if context.idle or context.failed:
                self.close(name)
                return
        raise BusyError(f"this socket has {_CONTEXTS} contexts already", "end one of them")

    def _over(self, name: str, context: Context) -> None:
        self._speaking.discard(context)
        given_up = context.failed and not context.ended  # its client will send the rest
        if not given_up and self.contexts.get(name) is context:
            del self.contexts[name]

    def _close_all(self) -> None:
        self.contexts.clear()
        for context in self._speaking:
            context.close()

    async def _all_over(self) -> None:
        if self._speaking:
            await asyncio.wait([context.task for context in self._speaking])

    async def _leave(self) -> None:
        """Go when the server stops: who speaks may finish, nobody waits for more text."""
        admission = self.service.admission
        await admission.closed()
        for context in self._speaking:
            context.leave(admission.stopping())
        await self._all_over()
        if self._finishing is None:
            self.finish(_GOING)

    async def _finish(self) -> None:
        for name in list(self.contexts):
            self.end(name)
        await self._all_over()
        if self._code == _CLOSED:
            await self.send(self.farewell())
        await self._hang_up()

    async def _hang_up(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # its client may have been faster
            await self._websocket.close(self._code)


def parsed(kind: TypeAdapter[T], text: str) -> T:
    """Read a message.

    Raises:
        FieldError: It is none of that kind, or too large.
    """
    if len(text.encode()) > _LARGEST:
        raise FieldError(None, f"the message is larger than {_LARGEST} bytes", "send less at once")
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = first["loc"]
        if where and where[0] == field_of(text, "type"):
            where = where[1:]  # which kind of message it is
        raise invalid("the message", first, where) from None


def field_of(text: str, name: str) -> str | None:
    """Find a field of a message that may be malformed, to tell its client which it was."""
    try:
        found = msgspec.json.decode(text[:_LARGEST])[name]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) else None
