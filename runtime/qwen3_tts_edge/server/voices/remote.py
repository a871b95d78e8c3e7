"""Recordings that a request names by an address, fetched from public hosts and no others.

A server that fetches what strangers ask for can be sent to hosts that only it reaches: itself, its
network, its cloud's own services. The rule is kept where it cannot be got round, at the socket: a
name, a redirect or an address in odd writing all end there, as the address that is connected to.
"""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import aiohttp

from qwen3_tts_edge.errors import InputError

_SECONDS = 10.0
"""For all of it: names, redirects, the whole recording."""

_REDIRECTS = 3

_PUBLIC_V6 = IPv6Network("2000::/3")
"""What else there is in IPv6 is local, or an IPv4 address in disguise."""


class Remote:
    """Fetches recordings.

    Whoever fetches is told no more than that it failed: what a host answers is not for strangers.
    """

    def __init__(self, *, largest: int) -> None:
        """Set the limits.

        Args:
            largest: Bytes of a recording.
        """
        self._largest = largest

    async def fetched(self, address: str) -> bytes:
        """Fetch a recording.

        Args:
            address: With `http:` or `https:`.

        Raises:
            InputError: It is not at a public host, too large, too slow, or not there.
        """
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(socket_factory=_socket, force_close=True),
                    timeout=aiohttp.ClientTimeout(total=_SECONDS),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,  # a small answer may unpack to any size
                    trust_env=False,  # a proxy would connect for us, to anywhere
                ) as session,
                session.get(
                    address,
                    max_redirects=_REDIRECTS,
                    headers={"accept": "audio/*", "accept-encoding": "identity"},
                ) as answer,
            ):
                return await self._read(answer)
        except InputError:
            raise
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError):
            raise InputError(
                "the recording cannot be fetched",
                f"its address must lead to a public host, and be answered within {_SECONDS:g} s; "
                "or send the recording itself as base64",
            ) from None

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        answer.raise_for_status()
        data = bytearray()
        async for piece in answer.content.iter_chunked(1 << 16):
            data += piece
            if len(data) > self._largest:
                raise InputError(f"the recording is larger than {self._largest} bytes")
        return bytes(data)


def public(address: str) -> bool:
    """Tell whether an IP address is anybody's to reach, in the internet at large.

    Args:
        address: As the system writes it, a zone behind `%` included.
    """
    found: IPv4Address | IPv6Address = ip_address(address)
    if isinstance(found, IPv6Address) and (found not in _PUBLIC_V6 or found.sixtofour):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved)


def _socket(info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
    """Make the socket for a connection, or refuse to connect."""
    family, kind, protocol, _, address = info
    if not public(address[0]):
        raise OSError("not a public address")
    return socket.socket(family, kind, protocol)
