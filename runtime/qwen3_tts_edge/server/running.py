"""A service on its socket, until it is told to stop."""

import asyncio
import gc
import logging
import math
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType

import uvicorn

from qwen3_tts_edge.server.app import Beside, app
from qwen3_tts_edge.server.protocols.response import CutError
from qwen3_tts_edge.server.service import Service

_log = logging.getLogger(__name__)

_PARTING = 2
"""Seconds in which an answer may end whose time to be spoken or heard is up."""

_MESSAGE = 4 << 20
"""Bytes of a websocket's message."""


_UNUSED = 75
"""Seconds for which a connection without a request stays open: proxies, which close theirs after a
minute, and clients do so first, and send none into one that is closing."""

_ANSWER = 120.0
"""Seconds in which a websocket's ping is answered: that waits until its client has read what was
sent before, and of small sound the systems hold a minute and a half."""


def run(service: Service, opened: socket.socket, beside: Sequence[Beside] = ()) -> None:
    """Serve until a signal comes; then let nobody in, and let those who speak finish.

    A second signal ends them too.

    Args:
        service: What is served.
        opened: Where HTTP comes in, see `listening`.
        beside: What else goes on, see `app`.
    """
    serving = server(service, beside)
    # What is there now stays. Python, which stops everybody to look for what nobody holds any
    # more, looks through what requests leave alone, and as often as there is more of that.
    gc.collect()
    gc.freeze()
    gc.collect()
    asyncio.run(serving.serve([opened]))


def server(service: Service, beside: Sequence[Beside] = ()) -> uvicorn.Server:
    """Make what serves a service, for a program that has an event loop; arguments as of `run`."""
    logging.getLogger("uvicorn.access").disabled = True  # an address may hold a key
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    config = uvicorn.Config(
        app(service, beside),
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        log_level=logging.WARNING,  # and so may that of a socket
        http="h11",  # the other parser holds headers of any size
        timeout_keep_alive=_UNUSED,
        ws_max_size=_MESSAGE,
        ws_ping_timeout=_ANSWER,
        ws_per_message_deflate=False,  # sound grows no smaller by it, it takes time
        timeout_graceful_shutdown=_PARTING,
    )
    return _Server(config, service)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out how an answer was cut off, and a socket refused: why is logged where it is."""
    cut = record.exc_info and isinstance(record.exc_info[1], CutError)
    return not (cut or "without completing handshake" in str(record.msg))


class _Server(uvicorn.Server):
    """Uvicorn, told to stop only when all who speak have finished: it would cut websockets off.

    What was spoken may then be heard to its end, as long as the time to finish is not over.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._draining: Future[float] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop for a terminal that is closed too: uvicorn knows no SIGHUP, as Windows does not."""
        hangup = getattr(signal, "SIGHUP", None)
        with super().capture_signals():
            mine = threading.current_thread() is threading.main_thread()
            if hangup is None or not mine or signal.getsignal(hangup) is signal.SIG_IGN:  # nohup
                yield
                return
            before = signal.signal(hangup, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(hangup, before)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._draining is not None:
            self._loop.call_soon_threadsafe(self._cut)
            super().handle_exit(sig, frame)
            return
        _log.info("stopping: %d still speak", self._service.admission.running)
        self._draining = asyncio.run_coroutine_threadsafe(self._service.drain(), self._loop)
        self._draining.add_done_callback(lambda _: self._drained(sig, frame))

    def _drained(self, sig: int, frame: FrameType | None) -> None:
        assert self._draining is not None
        left = 0.0 if self._draining.cancelled() else self._draining.result()
        if not self.should_exit:  # by a second signal
            self.config.timeout_graceful_shutdown = max(math.ceil(left), _PARTING)
            super().handle_exit(sig, frame)

    def _cut(self) -> None:
        """End what is still heard."""
        for task in self.server_state.tasks:
            task.cancel()
