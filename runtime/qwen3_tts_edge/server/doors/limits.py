"""How large a request may be and how long it may take to come: both are seen while it is read."""

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_AT_ONCE = 16
"""Bodies of the largest size that are held together; nobody has been let in to speak yet."""


class BodyLimit:
    """ASGI middleware: whoever reads a body that is too large or too slow meets an error.

    Its status is 413 or 408, or 503 where others' bodies take all the room there is.
    """

    def __init__(self, app: ASGIApp, largest: int, seconds: float) -> None:
        """Wrap an app.

        Args:
            app: What reads bodies, and answers to `HTTPException`.
            largest: Bytes of one.
            seconds: In which all of it has to be there.
        """
        self._app = app
        self._largest = largest
        self._seconds = seconds
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        said = Headers(scope=scope).get("content-length", "")
        too_large = said.isdigit() and int(said) > self._largest
        held, more = 0, True

        async def counted() -> Message:
            nonlocal held, more
            if not more:
                return await receive()
            if too_large:  # who waits for "100 Continue" need not send it
                raise self._too_large()
            try:
                message = await asyncio.wait_for(receive(), end - loop.time())
            except asyncio.TimeoutError:
                raise HTTPException(
                    408, f"the request did not come within {self._seconds:g} s"
                ) from None
            more = message.get("more_body", False)
            size = len(message.get("body", b""))
            held, self._held = held + size, self._held + size
            if held > self._largest:
                raise self._too_large()
            if self._held > _AT_ONCE * self._largest:
                retry = {"retry-after": "1"}
                raise HTTPException(503, "too many large requests come at once", retry)
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._held -= held

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the request is larger than {self._largest} bytes")
