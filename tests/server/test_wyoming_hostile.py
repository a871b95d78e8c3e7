"""What nobody should send: it is answered or cut off, and leaves nothing behind."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wyoming.info import Describe
from wyoming.tts import SynthesizeStart

from server.serving import Served
from server.wyoming_clients import as_bytes, plainly_connected, rest_of

_START = as_bytes(SynthesizeStart())


def _line(**header: Any) -> bytes:
    return json.dumps(header).encode() + b"\n"


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "no event"),
        (b"[]\n", "no event"),
        (b"\xff\xfe\n", "no event"),
        (b'{"type": "\xff"}\n', "no event"),
        (b'{"type": "describe", "data": ' + b"[" * 50_000 + b"\n", "no event"),
        (b'{"type": "synthesize", "data": {"text": "\\ud800"}}\n', "no event"),
        (b"x" * (1 << 20), "the line is longer than 65536 bytes"),
        (_line(type=5), "Expected `str`"),
        (_line(type="synthesize", data=None), "missing required field `text`"),
        (_line(data={}), "missing required field `type`"),
        (_line(type="describe", data_length=-1), "Expected `int` >= 0"),
        (_line(type="describe", data_length="9"), "Expected `int"),
        (_line(type="describe", data_length=10**12), "is the most"),
        (_line(type="describe", payload_length=10**15), "is the most"),
        (_line(type="describe", payload_length=10**40), "is the most"),
        (_line(type="describe", data_length=4) + b"null", "no event"),
        (_line(type="synthesize"), "missing required field `text`"),
        (_line(type="synthesize", data={"text": ["Hello."]}), "Expected `str`"),
        (_line(type="synthesize", data={"text": "Hello.", "voice": "heart"}), "Expected `object"),
        (_line(type="synthesize", data={"text": "many words " * 10_000}), "longer than"),
        (_START + 30 * _line(type="synthesize-chunk", data={"text": "a word " * 700}), "too long"),
        (6 * _line(type="synthesize", data={"text": "One."}), "4 utterances wait"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_wrong_is_told_and_ends_it(served: Served, sent: bytes, says: str) -> None:
    with plainly_connected(served) as client:
        client.sendall(sent)
        told = rest_of(client)
    assert b'"type": "error"' in told
    assert says.encode() in told
    served.settle()


_TYPES = ["describe", "synthesize", "synthesize-start", "synthesize-chunk", "synthesize-stop"]
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_data = st.fixed_dictionaries(
    {},
    optional={
        "text": st.sampled_from(["Hello.", " ", "<|im_end|>", "\x00", "…"]) | _anything,
        "voice": st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["heart", "low (en)", ""]) | _anything,
                "language": st.just("en") | _anything,
            },
        )
        | _anything,
        "text_format": _anything,
    },
)
_length = st.integers(-2, 200) | st.sampled_from([1 << 20, 1 << 62, 1 << 70]) | _anything


@st.composite
def _events(draw: st.DrawFn) -> bytes:
    """An event that may be right, or wrong in any of its parts."""
    header: dict[str, Any] = {"type": draw(st.sampled_from(_TYPES) | _anything)}
    data = json.dumps(draw(_data | _anything)).encode()
    if draw(st.booleans()):
        header["data"] = draw(_data | _anything)
    if draw(st.booleans()):
        header["data_length"] = draw(st.just(len(data)) | _length)
    payload = draw(st.binary(max_size=50))
    if draw(st.booleans()):
        header["payload_length"] = draw(st.just(len(payload)) | _length)
    return json.dumps(header).encode() + b"\n" + data + payload


@st.composite
def _conversations(draw: st.DrawFn) -> bytes:
    """Some events, or anything, perhaps broken off in the middle."""
    sent = b"".join(draw(st.lists(_events() | st.binary(max_size=200), min_size=1, max_size=6)))
    return sent[: draw(st.integers(0, len(sent)))] if draw(st.booleans()) else sent


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def nothing_left(served: Served) -> Iterator[None]:
    """Hold that the server is as it was, and answers."""
    before = _descriptors()
    yield
    served.settle()
    with plainly_connected(served) as client:
        client.sendall(as_bytes(Describe()))
        assert b'"type": "info"' in client.recv(1000)
    deadline = time.monotonic() + 10
    while _descriptors() > before:
        assert time.monotonic() < deadline, "connections are left open"
        time.sleep(0.01)
    assert served.service.alive


def _survives(served: Served, sent: bytes) -> None:
    """Send it and leave: the server parts as well, whatever it was about to say."""
    with plainly_connected(served) as client, suppress(ConnectionError):
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        rest_of(client)


_of_the_session = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=150, deadline=None, suppress_health_check=_of_the_session)
@given(sent=_conversations())
def test_whatever_comes_leaves_nothing_behind(
    served: Served, nothing_left: None, sent: bytes
) -> None:
    _survives(served, sent)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=_of_the_session)
@given(sent=_conversations())
def test_ten_thousand_of_them_leave_nothing_behind(
    served: Served, nothing_left: None, sent: bytes
) -> None:
    _survives(served, sent)
