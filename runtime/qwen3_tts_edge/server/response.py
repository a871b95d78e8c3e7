"""Sound as the body of an HTTP answer: while it is made, or when all of it is."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from qwen3_tts_edge.server.problems import problem_of
from qwen3_tts_edge.server.session import Session, Sound
from qwen3_tts_edge.server.whole import Answer
from qwen3_tts_edge.sound.encoding import Encoder


class CutError(Exception):
    """A speech failed after its answer had begun: the connection is cut.

    So that nobody takes what came for the whole. The message is neutral, for the log has it.
    """


class SpeechResponse(StreamingResponse):
    """An answer that closes its session, however it ends.

    Also where it never begins: a client may be gone before the first byte is sent.
    """

    def __init__(
        self, session: Session, content: AsyncIterable[bytes], media_type: str, encoder: Encoder
    ) -> None:
        """Take what is sent.

        Args:
            session: Whose sound it is.
            content: Its bytes, as they come.
            media_type: Of the content.
            encoder: What encodes the sound.
        """
        super().__init__(content, media_type=media_type, headers=described(encoder, session.seed))
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._session.close()

    async def stream_response(self, send: Send) -> None:
        """Send it to its end, or not."""
        try:
            await super().stream_response(send)
        except Exception as error:
            problem_of(error)
            raise CutError("a speech failed after its answer had begun") from None


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


def streamed(session: Session, encoder: Encoder) -> SpeechResponse:
    """Answer with the sound of a session as it is made."""
    return SpeechResponse(session, sound(session), encoder.content_type, encoder)


async def sound(session: Session) -> AsyncIterator[bytes]:
    """Give the bytes of a session as they come."""
    async for event in session:
        if isinstance(event, Sound) and event.data:
            yield event.data
