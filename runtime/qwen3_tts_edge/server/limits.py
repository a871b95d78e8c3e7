"""How large a request may be: its body is counted as it comes, and no more of it is read."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware: whoever reads a body that is too large meets an error of status 413."""

    def __init__(self, app: ASGIApp, largest: int) -> None:
        """Wrap an app.

        Args:
            app: What reads bodies, and answers to `HTTPException`.
            largest: Bytes of one.
        """
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "")
        too_large = said.isdigit() and int(said) > self._largest
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if too_large or size > self._largest:
                raise HTTPException(413, f"the request is larger than {self._largest} bytes")
            return message

        await self._app(scope, counted, send)
