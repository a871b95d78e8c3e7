"""Asks a server to speak one text, and notes when sound came. Needs the extra `bench`."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from qwen3_tts_edge.errors import Qwen3TTSError
from qwen3_tts_edge.machine.texts import TEXTS
from qwen3_tts_edge.sound.player import Player

_BYTES_A_SECOND = 24000 * 2
_PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_REJECTED = (429, 503)
_COME_AGAIN = 1.0
_MESSAGE = 1000


class ServerError(Qwen3TTSError, RuntimeError):
    """A server does not do what it is there for."""


@dataclass
class Answer:
    """What came of a request; times are in seconds of `time.perf_counter`.

    Attributes:
        due: When it was to be sent.
        sent: When it was; its connection was made after that.
        status: Of HTTP; 0 where there was no answer.
        outcome: `ok`; `rejected` with status 429 or 503; `cut`, where sound broke off; `error`.
        player: Who played the sound.
        retry_after: In how many seconds who was rejected may come again.
        said: What the server, or the connection, said of what went wrong.
    """

    due: float
    sent: float
    status: int = 0
    outcome: str = "error"
    player: Player = field(default_factory=lambda: Player(_BYTES_A_SECOND))
    retry_after: float = _COME_AGAIN
    said: str = ""


class Asker:
    """A client of one server: OpenAI's speech as PCM, each request over a connection of its own.

    People who know nothing of each other share no connection.
    """

    def __init__(
        self, session: aiohttp.ClientSession, server: str, voice: str | None, key: str | None
    ) -> None:
        """Take a session; `open` is the way in."""
        self._session = session
        self._url = f"{server.rstrip('/')}/v1/audio/speech"
        self._voice = {} if voice is None else {"voice": voice}
        self._headers = {"accept-encoding": "identity"}
        if key is not None:
            self._headers["authorization"] = f"Bearer {key}"

    @classmethod
    @asynccontextmanager
    async def open(cls, server: str, voice: str | None, key: str | None) -> AsyncIterator["Asker"]:
        """Open a client.

        Args:
            server: Its address, as `http://127.0.0.1:8000`.
            voice: Who shall speak; None leaves it to the server.
            key: That lets one in; None where none is needed.
        """
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=_PATIENCE) as session:
            yield cls(session, server, voice, key)

    async def check(self) -> None:
        """Ask for one text.

        Raises:
            ServerError: It is not spoken.
        """
        answer = await self.ask(TEXTS[0], 0, time.perf_counter())
        if answer.outcome != "ok":
            found = f"{self._url} does not speak: {answer.status or ''} {answer.said}".strip()
            raise ServerError(
                found,
                "give --api-key" if answer.status == 401 else "start it with: qwen3-tts-edge serve",
            )

    async def ask(self, text: str, seed: int, due: float) -> Answer:
        """Ask for a text and hear all of it; whatever goes wrong stands in the answer."""
        body: dict[str, object] = {
            "input": text,
            "seed": seed,
            "response_format": "pcm",
            "stream": True,
            "stream_format": "audio",
            **self._voice,
        }
        answer = Answer(due, time.perf_counter())
        try:
            async with self._session.post(self._url, json=body, headers=self._headers) as response:
                answer.status = response.status
                if response.status == 200:
                    await _hear(response, answer)
                else:
                    await _refused(response, answer)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            answer.said = str(error) or type(error).__name__
        return answer


async def _hear(response: aiohttp.ClientResponse, answer: Answer) -> None:
    answer.outcome = "cut"
    async for data in response.content.iter_any():
        answer.player.hear(len(data), time.perf_counter())
    answer.outcome = "error" if answer.player.first is None else "ok"


async def _refused(response: aiohttp.ClientResponse, answer: Answer) -> None:
    answer.outcome = "rejected" if response.status in _REJECTED else "error"
    answer.retry_after = _seconds(response.headers.get("retry-after"))
    answer.said = (await response.content.read(_MESSAGE)).decode(errors="replace")


def _seconds(retry_after: str | None) -> float:
    """Read the header; where it is a date, as it may be, the usual will do."""
    try:
        return max(0.0, float(retry_after or ""))
    except ValueError:
        return _COME_AGAIN
