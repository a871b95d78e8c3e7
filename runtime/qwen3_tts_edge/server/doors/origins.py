"""Whose web pages may use a server that asks for no key.

A browser lets any page send requests to this machine, uploads and websockets too, and names the
page's origin. Where a key is needed the page has none; where none is, its origin has to be known.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen3_tts_edge.server.problems import Problem


class Origins:
    """ASGI middleware that refuses what a page of another origin sends. Programs name none."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        """Wrap an app.

        Args:
            app: What is behind the door.
            allowed: Origins beside the server's own; `*` is all.
        """
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in or refuse it."""
        if scope["type"] not in ("http", "websocket") or self._is_known(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        problem = Problem(
            403,
            "this server answers no web page of another origin; start it with --cors-origin and "
            "the page's, or with --api-key; a proxy that has its page has to pass Host on",
            code="origin_not_allowed",
        )
        await problem.answer()(scope, receive, send)

    def _is_known(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None or "*" in self._allowed or origin in self._allowed:
            return True
        try:
            return urlsplit(origin).netloc == headers.get("host")
        except ValueError:
            return False
