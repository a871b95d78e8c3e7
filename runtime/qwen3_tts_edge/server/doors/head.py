"""HEAD, wherever there is GET: the same answer without its body, as health checks ask for it."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Head:
    """ASGI middleware that asks for what HEAD describes; the server drops the body."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope.get("method") == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
