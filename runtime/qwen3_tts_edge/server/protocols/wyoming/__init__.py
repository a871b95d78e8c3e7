"""Wyoming: the protocol of Home Assistant's voices, over TCP or a Unix socket.

Reading order: `events`, `utterance`, `connection`; `voices` is what can be asked for, `discovery`
lets Home Assistant find it.

Source: https://github.com/OHF-Voice/wyoming; homeassistant/components/wyoming of
    https://github.com/home-assistant/core
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wyoming.error import Error
from wyoming.event import async_write_event

from qwen3_tts_edge.server.listening import WAITING
from qwen3_tts_edge.server.protocols.wyoming.connection import PARTING, Connection
from qwen3_tts_edge.server.protocols.wyoming.events import LINE
from qwen3_tts_edge.server.service import Service

_ASKING = 64
"""Clients beside those who can speak or wait for it: who only ask what there is."""


@asynccontextmanager
async def serving(service: Service, opened: socket.socket) -> AsyncIterator[None]:
    """Serve a running service on a socket; at the end, let those who speak come to theirs."""
    connections: dict[asyncio.Task[None], Connection] = {}
    most = service.synthesizer.slots + service.settings.queue + _ASKING

    async def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(connections) >= most:
            full = Error(f"{most} clients are connected, which is all there may be", "overloaded")
            await async_write_event(full.event(), writer)
            writer.close()
            return
        connection = Connection(service, reader, writer)
        task = asyncio.create_task(connection.serve())
        connections[task] = connection
        task.add_done_callback(connections.pop)

    server = await asyncio.start_server(come, sock=opened, limit=LINE, backlog=WAITING)
    try:
        yield
    finally:
        server.close()
        for connection in connections.values():
            connection.finish()
        if connections:
            _, late = await asyncio.wait(connections, timeout=PARTING)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
