"""A name for every request and every websocket, which its client, the log and the answer share."""

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LONGEST = 128
_HEADS = ("http.response.start", "websocket.accept", "websocket.http.response.start")
"""Messages that have the headers of an answer."""


class RequestId:
    """ASGI middleware that answers with the `X-Request-Id` of the request, or with one it makes."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        named = given if given.isascii() and given.isprintable() else ""
        name = named[:_LONGEST] or _made()
        scope.setdefault("state", {})["request_id"] = name

        async def sent(message: Message) -> None:
            if message["type"] in _HEADS:
                MutableHeaders(scope=message)["x-request-id"] = name
            await send(message)

        await self._app(scope, receive, sent)


def id_of(connection: HTTPConnection) -> str:
    """Give the name of a request or a websocket; one is made where something else names them."""
    found: str | None = getattr(connection.state, "request_id", None)
    return found or _made()


def _made() -> str:
    return f"req_{secrets.token_hex(12)}"
