"""Sockets that a server listens on, opened before anything that takes time."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from qwen3_tts_edge.errors import InputError

UNSENT = 64 << 10
"""Bytes that the system may hold for a client that does not read; else it would hold a minute."""

WAITING = 2048
"""Connections that may wait to be accepted."""

_STALLED = 60_000
"""Milliseconds in which a client must take some of what it is sent, or it is gone."""


@dataclass(frozen=True)
class Tcp:
    """A host and a port, of which 0 takes a free one."""

    host: str
    port: int

    @property
    def stays_here(self) -> bool:
        """Whether other machines cannot reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @contextmanager
    def opened(self) -> Iterator[socket.socket]:
        """Open the socket while this goes on.

        Raises:
            InputError: The address is taken, or not of this machine.
        """
        try:
            opened = self._open()
        except OSError as error:
            raise InputError(
                f"cannot listen on {_joined(self.host, self.port)} ({error.strerror})",
                "choose another host or port",
            ) from error
        with opened:
            yield opened

    def _open(self) -> socket.socket:
        """Look the host up, for it may be a name, or of one interface; IPv4 where it has both."""
        found = socket.getaddrinfo(self.host or "0.0.0.0", self.port, type=socket.SOCK_STREAM)
        family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        with ExitStack() as failing:
            opened = failing.enter_context(socket.socket(family, socket.SOCK_STREAM))
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT)  # whoever comes has it
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # and this, on Linux
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALLED)
            opened.bind(address)
            opened.listen(WAITING)  # whoever comes now is answered when somebody can answer
            failing.pop_all()
        return opened


@dataclass(frozen=True)
class Unix:
    """A socket among the files: no other machine reaches it, and its folder says who does."""

    path: Path
    stays_here = True

    @contextmanager
    def opened(self) -> Iterator[socket.socket]:
        """Open the socket while this goes on; what a server that was killed left there goes.

        Raises:
            InputError: Somebody listens there, something else is there, or it cannot be.
        """
        if not hasattr(socket, "AF_UNIX"):
            raise InputError("this system has no Unix sockets", "listen on tcp://127.0.0.1:10200")
        self._clear()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
            try:
                opened.bind(str(self.path))
            except OSError as error:
                raise InputError(
                    f"cannot listen on {self.path} ({error.strerror or error})",
                    "choose a path in a folder that exists and is yours, of 100 characters at most",
                ) from error
            ours = self.path.stat()
            try:
                opened.listen(WAITING)  # at once, or another server takes it for left behind
                yield opened
            finally:
                if self.path.exists() and os.path.samestat(ours, self.path.stat()):
                    self.path.unlink()

    def _clear(self) -> None:
        if not self.path.exists():
            return
        if not self.path.is_socket():
            raise InputError(f"{self.path} is there and is no socket", "choose another path")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            try:
                caller.connect(str(self.path))
            except ConnectionRefusedError:
                self.path.unlink()
                return
            except OSError:
                return  # `bind` says what is wrong
        raise InputError(f"a server listens on {self.path} already", "choose another path")


Address = Tcp | Unix


def address_of(uri: str) -> Address:
    """Read `tcp://HOST:PORT` or `unix:///PATH`.

    Raises:
        InputError: It is neither.
    """
    try:
        parts = urlsplit(uri)
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None:
            return Tcp(parts.hostname, parts.port)
        if parts.scheme == "unix" and parts.path and not parts.netloc:
            return Unix(Path(parts.path))
    except ValueError:
        pass
    raise InputError(
        f"{uri!r} is no address to listen on",
        "give tcp://HOST:PORT, such as tcp://127.0.0.1:10200, or unix:///PATH",
    )


def uri_of(opened: socket.socket, scheme: str = "tcp") -> str:
    """Name the address of an open socket; a Unix socket has a scheme of its own."""
    name = opened.getsockname()
    if isinstance(name, str):
        return f"unix://{name}"
    return f"{scheme}://{_joined(*name[:2])}"


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
