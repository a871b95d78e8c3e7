"""A server that runs in a thread of the tests."""

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from qwen3_tts_edge.server import running
from qwen3_tts_edge.server.listening import Tcp, uri_of
from qwen3_tts_edge.server.protocols import wyoming
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.settings import Settings

_PATIENCE = 60.0
"""Seconds after which something hangs; nothing takes that long on any machine."""


@dataclass(frozen=True)
class Served:
    """A server on a port of 127.0.0.1.

    Attributes:
        url: `http://127.0.0.1:PORT`.
        ws: `ws://127.0.0.1:PORT`.
        wyoming: `tcp://127.0.0.1:PORT` and `unix:///PATH`, where it was told to.
        service: What it serves.
    """

    url: str
    ws: str
    wyoming: tuple[str, ...]
    service: Service

    @property
    def idle(self) -> bool:
        """Whether nobody speaks or waits, and every slot is free."""
        admission, scheduler = self.service.admission, self.service.synthesizer._scheduler
        spoken = [*scheduler._waiting, *scheduler._speaking]
        return not (admission.running or admission.waiting or any(not each.over for each in spoken))

    @contextmanager
    def keeping(self, *kinds: type) -> Iterator[None]:
        """See that no more of these kinds are left behind, while Python looks for no cycles."""

        def count() -> int:
            return sum(type(each) in kinds for each in gc.get_objects())

        gc.collect()
        gc.disable()
        try:
            before = count()
            yield
            self.settle()
            end = time.monotonic() + 10.0
            while count() > before:
                assert time.monotonic() < end, f"there are {count()}, and were {before}"
                time.sleep(0.05)
        finally:
            gc.enable()

    def settle(self, seconds: float = 10.0) -> None:
        """Wait until it is idle; fail where it never is."""
        end = time.monotonic() + seconds
        while not self.idle:
            assert time.monotonic() < end, "somebody still has a place or a slot"
            time.sleep(0.005)


@contextmanager
def serving(settings: Settings, *, wyoming_on: Sequence[socket.socket] = ()) -> Iterator[Served]:
    """Run a server in a thread of its own, with its own event loop, as `serve` does."""
    service = Service.open(settings)
    addresses = tuple(map(uri_of, wyoming_on))
    beside = [wyoming.serving(service, each) for each in wyoming_on]
    with Tcp("127.0.0.1", 0).opened() as opened:
        server = running.server(service, beside)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([opened])), daemon=True)
        thread.start()
        end = time.monotonic() + _PATIENCE
        while not service.ready:
            assert thread.is_alive(), "it ended before it was ready"
            assert time.monotonic() < end, "it never became ready"
            time.sleep(0.005)
        try:
            yield Served(uri_of(opened, "http"), uri_of(opened, "ws"), addresses, service)
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)
            assert not thread.is_alive(), "it does not stop"
