"""Sound as the body of an HTTP answer: while it is made, or when all of it is."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import StreamingResponse
from starlette.types import Send

from qwen3_tts_edge.server.problems import problem_of
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.speaking.session import Session
from qwen3_tts_edge.server.speaking.speech import Sound
from qwen3_tts_edge.server.speaking.whole import Answer
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.stream import RAMP

EVENTS = "text/event-stream"
"""The type of an answer that is events."""


class CutError(Exception):
    """A speech failed after its answer had begun: the connection is cut.

    So that nobody takes what came for the whole. The message is neutral, for the log has it.
    """


async def sound(session: Session) -> AsyncIterator[bytes]:
    """Give the bytes of a session as they come."""
    async for event in session:
        if isinstance(event, Sound) and event.data:
            yield event.data


def event(name: str, content: Mapping[str, Any]) -> bytes:
    """Write an event of an answer; bytes in its content stand in base64."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(content))


class SpeechResponse(StreamingResponse):
    """An answer that begins when there is a place to speak, and closes its session however it ends.

    A client that leaves while it waits for a place keeps none from others.
    """

    def __init__(
        self,
        service: Service,
        http: HttpRequest,
        request: Request,
        encoder: Encoder,
        *,
        text: str,
        field: str,
        transport: str,
        chunk_frames: tuple[int, ...] = RAMP,
        content: Callable[[Session], AsyncIterable[bytes]] = sound,
        media_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take what is sent; what `Service.speak` raises then is answered instead.

        Args:
            service: Who speaks.
            http: What is answered.
            request: See `Service.speak`.
            encoder: See `Service.speak`.
            text: All of it.
            field: See `Service.speak`.
            transport: See `Service.speak`.
            chunk_frames: See `Service.speak`.
            content: The bytes of a session, as they come.
            media_type: Of the content; None is the encoder's.
            headers: Of the protocol; None is none.

        Raises:
            FieldError: The text is too long.
        """
        super().__init__((), headers=headers, media_type=media_type or encoder.content_type)
        service.check_length(text, field)
        self._begin = partial(
            service.speak,
            request,
            encoder,
            text=text,
            field=field,
            ended=True,
            transport=transport,
            key=http.state.key,
            chunk_frames=chunk_frames,
        )
        self._encoder, self._content = encoder, content

    async def stream_response(self, send: Send) -> None:
        """Send it to its end, or not."""
        session = await self._begin()
        self.headers.update(described(self._encoder, session.seed))
        self.body_iterator = self._content(session)
        try:
            await super().stream_response(send)
        except Exception as error:
            problem_of(error)
            raise CutError("a speech failed after its answer had begun") from None
        finally:
            session.close()


class WholeResponse(StreamingResponse):
    """An answer that begins when all is spoken; a client that leaves before ends the speech."""

    def __init__(self, answer: Callable[[], Awaitable[Answer]], encoder: Encoder) -> None:
        """Take what is sent.

        Args:
            answer: Speaks it.
            encoder: What it is encoded by.
        """
        super().__init__((), media_type=encoder.content_type)
        self._answer, self._encoder = answer, encoder

    async def stream_response(self, send: Send) -> None:
        """Send it."""
        answer = await self._answer()
        self.headers.update(described(self._encoder, answer.seed))
        self.headers["content-length"] = str(len(answer.data))
        await send(
            {"type": "http.response.start", "status": 200, "headers": self.raw_headers},
        )
        await send({"type": "http.response.body", "body": answer.data})


def described(encoder: Encoder, seed: int) -> Mapping[str, str]:
    """Describe sound in headers that tell proxies not to hold it back."""
    return {
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
        "x-channels": "1",
        "x-sample-rate": str(encoder.sample_rate),
        "x-seed": str(seed),
    }
