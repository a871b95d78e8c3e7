"""Whose request it is: a key in one of the headers that clients use, or where they can set none.

Plain ASGI: a framework's middleware would turn a speech that fails in its middle into one that
ends.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen3_tts_edge.server.problems import Problem
from qwen3_tts_edge.server.sockets.introduction import MOST, Introduction

_HEADERS = ("x-api-key", "xi-api-key")  # Cartesia, ElevenLabs
_SCHEMES = ("bearer", "token")  # OpenAI, Deepgram
_QUERY = ("api_key", "authorization")  # of websockets; Cartesia, ElevenLabs
_SUBPROTOCOL = "openai-insecure-api-key."
_OPEN = {"/", "/health", "/ready"}
_LISTS = {"/v1/models", "/v1/audio/models", "/v1/audio/voices", "/audio/voices"}

ANYBODY = ""
"""The name of who needs no key."""


class Keys:
    """ASGI middleware that lets requests with a key in, and notes in `scope` which it was.

    A request's state holds `key`: a name for it that is not the key itself.
    """

    def __init__(self, app: ASGIApp, keys: Iterable[str], *, open_lists: bool) -> None:
        """Wrap an app.

        Args:
            app: What is behind the door.
            keys: One of them has to be shown; none lets everybody in.
            open_lists: Lists of models and voices are told without.
        """
        self._app = app
        self._keys = [_hashed(key) for key in keys]
        self._open = _OPEN | (_LISTS if open_lists else set())
        self._introducing = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        key = shown(Headers(scope=scope), scope["query_string"], scope["type"])
        if key is None and self._keys and Introduction.may_come(scope) and self._introducing < MOST:
            introduction = Introduction(scope, receive, send)
            receive, send = introduction.receive, introduction.send
            self._introducing += 1
            try:
                key = await introduction.said()
            finally:
                self._introducing -= 1
        name = self._name(key)
        if name is None and not self._is_open(scope):
            problem = Problem(
                401,
                "no known key came with the request; send it as Authorization: Bearer KEY",
                "authentication_error",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )
            await problem.answer()(scope, receive, send)
            return
        scope.setdefault("state", {})["key"] = name or ANYBODY
        await self._app(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        return scope["path"] in self._open and scope.get("method") in ("GET", "HEAD")

    def _name(self, key: str | None) -> str | None:
        """The number of a key, as its name; all are compared, and each in constant time."""
        if not self._keys:
            return ANYBODY
        if key is None:
            return None
        given = _hashed(key)
        found = [n for n, each in enumerate(self._keys) if hmac.compare_digest(each, given)]
        return str(found[0]) if found else None


def _hashed(key: str) -> bytes:
    """Give all keys one length, or the time to compare them would tell theirs."""
    return hashlib.sha256(key.encode()).digest()


def shown(headers: Mapping[str, str], query: bytes, kind: str) -> str | None:
    """Find the key that a request shows.

    Args:
        headers: Of the request.
        query: Of its address; browsers cannot set headers of a websocket.
        kind: `http` or `websocket`.
    """
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() in _SCHEMES and key:
        return key.strip()
    for name in _HEADERS:
        if headers.get(name):
            return headers[name]
    if kind == "websocket":
        asked = parse_qs(query.decode("latin-1"))
        in_query = next((asked[name][0] for name in _QUERY if name in asked), "")
        offered = _offered(headers.get("sec-websocket-protocol", ""))
        return in_query.removeprefix("Bearer ") or offered
    return None


def _offered(subprotocols: str) -> str | None:
    """Find the key among what a browser offers: "token, KEY", or OpenAI's, with a name in front."""
    first, *others = (each.strip() for each in subprotocols.split(","))
    named = (each.removeprefix(_SUBPROTOCOL) for each in others if each.startswith(_SUBPROTOCOL))
    by_scheme = others if first.lower() in _SCHEMES else ()
    return next(iter((*named, *by_scheme)), None)
