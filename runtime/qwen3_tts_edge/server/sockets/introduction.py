"""A websocket whose client shows its key in its first message, where it can set no headers.

Its socket is open before its address is looked at. What is refused then, by the door or by the app,
is a message in the shape that ElevenLabs has for it, and the end.

Source: https://elevenlabs.io/docs/api-reference/text-to-speech, `stream-input` and
`multi-stream-input`
"""

import asyncio
import json
import re
from collections import deque
from contextlib import suppress

from starlette.types import Message, Receive, Scope, Send

from qwen3_tts_edge.server.sockets.conversation import REFUSED, field_of

MOST = 64
"""Clients that may be waited for at once: each may send the largest of messages."""

_PATHS = re.compile(r"/v1/text-to-speech/[^/]+/(multi-)?stream-input")
_FIELDS = ("xi_api_key", "xi-api-key", "authorization")
_SCHEME = "Bearer "
_SECONDS = 10.0
"""In which the first message has to be there."""


class Introduction:
    """The first message of a websocket, and what an app sees of it that knows nothing of this."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a websocket that is not open yet."""
        self._scope, self._receive, self._send = scope, receive, send
        self._seen: deque[Message] = deque()

    @staticmethod
    def may_come(scope: Scope) -> bool:
        """Tell whether clients of this address may show their key later."""
        return scope["type"] == "websocket" and bool(_PATHS.fullmatch(scope["path"]))

    async def said(self) -> str | None:
        """Open the socket and wait for its first message; give what it shows as a key."""
        self._seen.append(await self._receive())
        subprotocol = next(iter(self._scope["subprotocols"]), None)
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
        try:
            first = await asyncio.wait_for(self._receive(), _SECONDS)
        except asyncio.TimeoutError:
            return None
        self._seen.append(first)
        text = first.get("text") or ""
        found = next(filter(None, (field_of(text, name) for name in _FIELDS)), None)
        return found and found.removeprefix(_SCHEME)

    async def receive(self) -> Message:
        """Give what came, from the beginning."""
        return self._seen.popleft() if self._seen else await self._receive()

    async def send(self, message: Message) -> None:
        """Send what can be sent over a socket that is open; an answer over HTTP cannot."""
        kind = message["type"]
        if kind == "websocket.http.response.body":
            with suppress(OSError, RuntimeError):  # its client may be gone
                await self._refuse(json.loads(message["body"])["error"])
        elif kind not in ("websocket.accept", "websocket.http.response.start"):
            await self._send(message)

    async def _refuse(self, error: dict[str, str]) -> None:
        told = {"message": error["message"], "error": error["code"] or error["type"]}
        text = json.dumps({**told, "code": REFUSED})
        await self._send({"type": "websocket.send", "text": text})
        await self._send({"type": "websocket.close", "code": REFUSED})
