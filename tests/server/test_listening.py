"""Addresses, and the sockets that are opened on them."""

import socket
from contextlib import suppress
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.server.listening import Tcp, Unix, address_of, uri_of

LOOPBACK_6 = False
with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
    probe.bind(("::1", 0))
    LOOPBACK_6 = True

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("tcp://0.0.0.0:10200", Tcp("0.0.0.0", 10200)),
        ("tcp://localhost:0", Tcp("localhost", 0)),
        ("tcp://[::1]:10200", Tcp("::1", 10200)),
        ("unix:///run/speech/socket", Unix(Path("/run/speech/socket"))),
    ],
)
def test_an_address_is_read(uri: str, address: Tcp | Unix) -> None:
    assert address_of(uri) == address


@pytest.mark.parametrize(
    "uri",
    ["", "10200", "0.0.0.0:10200", "tcp://0.0.0.0", "tcp://:10200", "tcp://host:99999", "tcp://h:x",
     "tcp://[::1:10200", "unix://relative/socket", "unix:", "http://host:80", "stdio://"],
)  # fmt: skip
def test_what_is_no_address_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="is no address to listen on; give tcp://HOST:PORT"):
        address_of(uri)


@pytest.mark.parametrize(
    ("host", "stays"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.5", False), ("speech.local", False), ("", False)],
)  # fmt: skip
def test_what_other_machines_reach(host: str, stays: bool) -> None:
    assert Tcp(host, 1).stays_here == stays


def test_an_open_socket_has_a_name(tmp_path: Path) -> None:
    with Tcp("127.0.0.1", 0).opened() as opened:
        assert uri_of(opened) == f"tcp://127.0.0.1:{opened.getsockname()[1]}"
    with Unix(tmp_path / "socket").opened() as opened:
        assert uri_of(opened) == f"unix://{tmp_path}/socket"


def test_a_host_may_be_a_name() -> None:
    with Tcp("localhost", 0).opened() as opened:
        assert uri_of(opened) == f"tcp://127.0.0.1:{opened.getsockname()[1]}"


@pytest.mark.skipif(not LOOPBACK_6, reason="there is no IPv6 here")
def test_an_address_of_ipv6() -> None:
    with Tcp("::1", 0).opened() as opened:
        assert uri_of(opened) == f"tcp://[::1]:{opened.getsockname()[1]}"
        with socket.create_connection(opened.getsockname()[:2], 10):
            pass


def test_an_address_of_ipv6_on_one_interface() -> None:
    """Of a link-local address the interface is a part."""
    if not Path("/proc/net/if_inet6").is_file():
        pytest.skip("no list of addresses of IPv6 here")
    links = [line.split() for line in Path("/proc/net/if_inet6").read_text().splitlines()]
    linked = [(each[0], each[-1]) for each in links if each[0].startswith("fe80")]
    if not linked:
        pytest.skip("no interface has a link-local address")
    address = str(IPv6Address(int(linked[0][0], 16)))
    with Tcp(f"{address}%{linked[0][1]}", 0).opened() as opened:
        assert opened.getsockname()[0].startswith(address)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        pytest.param(
            "::1", r"\[::1\]", marks=pytest.mark.skipif(not LOOPBACK_6, reason="no IPv6 here")
        ),
    ],
)
def test_a_taken_port_is_refused(host: str, shown: str) -> None:
    with Tcp(host, 0).opened() as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen on {shown}:{port} "):
            Tcp(host, port).opened().__enter__()


@pytest.mark.parametrize("host", ["no such host", "203.0.113.255"])
def test_a_host_that_is_not_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises(InputError, match=f"cannot listen on {host}:1234 .*; choose another host"):
        Tcp(host, 1234).opened().__enter__()


def test_a_unix_socket_goes_with_its_server(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Unix(path).opened():
        assert path.is_socket()
    assert not path.exists()


def test_a_socket_of_a_killed_server_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    assert path.is_socket()
    with Unix(path).opened(), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_what_others_have_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(InputError, match="is no socket"):
        Unix(file).opened().__enter__()
    assert file.read_text() == "mine"

    path = tmp_path / "socket"
    with Unix(path).opened():
        with pytest.raises(InputError, match="already; choose another path"):
            Unix(path).opened().__enter__()
        path.unlink()
        path.write_text("somebody else's by now")
    assert path.exists()


@pytest.mark.parametrize("name", ["absent/socket", "x" * 120])
def test_where_no_socket_can_be_it_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot listen on"):
        Unix(tmp_path / name).opened().__enter__()
