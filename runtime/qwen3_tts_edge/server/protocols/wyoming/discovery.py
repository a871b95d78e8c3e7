"""Zeroconf: Home Assistant finds the server by itself, on the network both are in."""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

from zeroconf import Error as ZeroconfError
from zeroconf import NonUniqueNameException
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from qwen3_tts_edge.errors import InputError

SERVICE = "_wyoming._tcp.local."
_MULTICAST = ("224.0.0.251", 5353)
_NAME = re.compile(r"[^\x00-\x1f\x7f.]+")
_LONGEST = 63  # bytes of a DNS label
_log = logging.getLogger(__name__)


def instance_name(given: str) -> str:
    """Give the name by which the server is found: a new name is a new server to others.

    Args:
        given: By the user; "" takes the machine's.

    Raises:
        InputError: It cannot be announced.
    """
    name = given or f"qwen3-tts-edge-{socket.gethostname().split('.')[0]}"
    if not _NAME.fullmatch(name) or len(name.encode()) > _LONGEST:
        raise InputError(
            f"{name!r} cannot be announced",
            f"give --zeroconf=NAME, of {_LONGEST} bytes at most and without a dot",
        )
    return name


def reachable(opened: socket.socket) -> str:
    """Give the address by which others reach a TCP socket: its own, or the network's.

    Raises:
        InputError: It listens everywhere, and there is no network; or where nothing is announced.
    """
    host = str(opened.getsockname()[0])
    address = ip_address(host)
    if address.version == 6 and address.is_loopback:  # which has no multicast, other than IPv4's
        raise InputError(
            f"a server on {host} cannot be announced: nobody else would reach it",
            "give --wyoming the address that others reach, or leave out --zeroconf",
        )
    if not address.is_unspecified:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_MULTICAST)  # sends nothing: only the route is asked for
        except OSError as error:
            raise InputError(
                f"there is no network to announce the server on ({error.strerror})",
                "give --wyoming the address that others reach, or leave out --zeroconf",
            ) from error
        return str(probe.getsockname()[0])


@asynccontextmanager
async def announced(name: str, address: str, port: int) -> AsyncIterator[None]:
    """Announce a server while this goes on; that takes a second, which nobody waits for.

    Args:
        name: From `instance_name`.
        address: From `reachable`.
        port: Where it listens.
    """
    announcing = asyncio.create_task(_announce(name, address, port))
    try:
        yield
    finally:
        announcing.cancel()
        await asyncio.gather(announcing, return_exceptions=True)


async def _announce(name: str, address: str, port: int) -> None:
    about = AsyncServiceInfo(SERVICE, f"{name}.{SERVICE}", port=port, parsed_addresses=[address])
    try:
        async with AsyncZeroconf(interfaces=[address]) as zeroconf:
            await zeroconf.async_register_service(about)
            _log.info("announced as %s, at %s:%d", name, address, port)
            await asyncio.Event().wait()  # until it is cancelled, which takes it back
    except NonUniqueNameException:
        _log.error("another server is announced as %s; give --zeroconf=NAME", name)
    except (ZeroconfError, OSError) as error:
        _log.error("the server cannot be announced: %s %s", type(error).__name__, error)
