"""Sound as the body of an HTTP answer, while it is made."""

from collections.abc import AsyncIterable, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from qwen3_tts_edge.server.session import Session


class SpeechResponse(StreamingResponse):
    """An answer that closes its session, however it ends.

    Also where it never begins: a client may be gone before the first byte is sent.
    """

    def __init__(
        self,
        session: Session,
        content: AsyncIterable[bytes],
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        """Take what is sent.

        Args:
            session: Whose sound it is.
            content: Its bytes, as they come.
            media_type: Of the content.
            headers: Sent with it; the seed and what keeps proxies from holding sound back are
                added.
        """
        more = {
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
            "x-seed": str(session.seed),
        }
        super().__init__(content, media_type=media_type, headers={**more, **headers})
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._session.close()
