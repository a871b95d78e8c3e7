"""A server is found by zeroconf, on the loopback interface, and is gone when it stops."""

import asyncio
import socket
import uuid

import pytest

pytest.importorskip("zeroconf")

from zeroconf import ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.server.listening import Tcp
from qwen3_tts_edge.server.protocols.wyoming.discovery import (
    SERVICE,
    announced,
    instance_name,
    reachable,
)
from server.test_listening import LOOPBACK_6

_PATIENCE = 15.0


def test_a_server_is_found_and_then_gone() -> None:
    name = f"speech-{uuid.uuid4().hex}"

    async def look() -> AsyncServiceInfo:
        loop = asyncio.get_running_loop()
        added, removed = ServiceStateChange.Added, ServiceStateChange.Removed
        seen = {added: asyncio.Event(), removed: asyncio.Event()}

        def changed(
            zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
        ) -> None:
            if name == f"{wanted}.{SERVICE}" and state_change in seen:
                loop.call_soon_threadsafe(seen[state_change].set)

        wanted = name
        async with AsyncZeroconf(interfaces=["127.0.0.1"]) as client:
            browser = AsyncServiceBrowser(client.zeroconf, SERVICE, handlers=[changed])
            async with announced(name, "127.0.0.1", 10200):
                await asyncio.wait_for(seen[added].wait(), _PATIENCE)
                found = AsyncServiceInfo(SERVICE, f"{name}.{SERVICE}")
                assert await found.async_request(client.zeroconf, _PATIENCE * 1000)
            await asyncio.wait_for(seen[removed].wait(), _PATIENCE)
            await browser.async_cancel()
        return found

    found = asyncio.run(look())
    assert found.parsed_addresses() == ["127.0.0.1"]
    assert found.port == 10200


def test_a_name_that_is_taken_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    name = f"speech-{uuid.uuid4().hex}"

    async def twice() -> None:
        async with announced(name, "127.0.0.1", 10200):
            await logged("announced as")
            async with announced(name, "127.0.0.1", 10201):
                await logged("another server is announced as")

    async def logged(what: str) -> None:
        async def look() -> None:
            while what not in caplog.text:
                await asyncio.sleep(0.01)

        await asyncio.wait_for(look(), _PATIENCE)

    with caplog.at_level("INFO", "qwen3_tts_edge"):
        asyncio.run(twice())


def test_the_name_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Home Assistant takes another name for another server: it must not change by itself."""
    monkeypatch.setattr(socket, "gethostname", lambda: "kitchen.example.org")
    assert instance_name("") == "qwen3-tts-edge-kitchen"
    assert instance_name("Küche oben") == "Küche oben"


@pytest.mark.parametrize("name", ["a.b", "x" * 64, "ü" * 32, "a\nb"])
def test_a_name_that_cannot_be_announced_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot be announced; give --zeroconf=NAME"):
        instance_name(name)


def test_the_address_is_the_one_that_is_listened_on() -> None:
    with Tcp("127.0.0.1", 0).opened() as opened:
        assert reachable(opened) == "127.0.0.1"


@pytest.mark.skipif(not LOOPBACK_6, reason="there is no IPv6 here")
def test_nothing_is_announced_on_the_loopback_of_ipv6() -> None:
    """It has no multicast: nobody would hear it, and the log would have a traceback."""
    with (
        Tcp("::1", 0).opened() as opened,
        pytest.raises(InputError, match="a server on ::1 cannot be announced"),
    ):
        reachable(opened)
