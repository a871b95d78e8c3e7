"""A service on its socket, until it is told to stop."""

import asyncio
import logging
import socket
from concurrent.futures import Future
from types import FrameType

import uvicorn

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.server.app import app
from qwen3_tts_edge.server.response import CutError
from qwen3_tts_edge.server.service import Service

_log = logging.getLogger(__name__)

_UNSENT = 64 << 10
"""Bytes that the system may hold for a client that does not read; else it would hold a minute."""

_WAITING = 2048
"""Connections that may wait to be accepted."""

_MESSAGE = 4 << 20
"""Bytes of a websocket's message."""

_STALLED = 60_000
"""Milliseconds in which a client must take some of what it is sent, or it is gone."""


def listening(host: str, port: int) -> socket.socket:
    """Open the socket, before anything that takes time.

    Raises:
        InputError: The address is taken, or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)  # whoever is accepted has it
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # and this, on Linux
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALLED)
    try:
        opened.bind((host, port))
        opened.listen(_WAITING)  # whoever comes now is answered when there is somebody to answer
    except OSError as error:
        opened.close()
        raise InputError(
            f"cannot listen on {host}:{port} ({error.strerror})", "choose another --host or --port"
        ) from error
    return opened


def run(service: Service, opened: socket.socket) -> None:
    """Serve until a signal comes; then let nobody in, and let those who speak finish.

    A second signal ends them too.

    Args:
        service: What is served.
        opened: From `listening`.
    """
    asyncio.run(server(service).serve([opened]))


def server(service: Service) -> uvicorn.Server:
    """Make what serves a service, for a program that has an event loop."""
    logging.getLogger("uvicorn.access").disabled = True  # an address may hold a key
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    config = uvicorn.Config(
        app(service),
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        log_level=logging.WARNING,  # and so may that of a socket
        ws_max_size=_MESSAGE,
        ws_per_message_deflate=False,  # sound grows no smaller by it, it takes time
        timeout_graceful_shutdown=2,
    )
    return _Server(config, service)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out how an answer was cut off, and a socket refused: why is logged where it is."""
    cut = record.exc_info and isinstance(record.exc_info[1], CutError)
    return not (cut or "without completing handshake" in str(record.msg))


class _Server(uvicorn.Server):
    """Uvicorn, told to stop only when all who speak have finished: it would cut websockets off."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._draining: Future[None] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._draining is not None:
            super().handle_exit(sig, frame)
            return
        _log.info("stopping: %d still speak", self._service.admission.running)
        self._draining = asyncio.run_coroutine_threadsafe(self._service.drain(), self._loop)
        self._draining.add_done_callback(lambda _: super(_Server, self).handle_exit(sig, frame))
