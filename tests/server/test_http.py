"""What all of HTTP has to keep to: methods, unknown paths, sizes, origins, keys, and silence."""

import hmac
import json
import logging
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from qwen3_tts_edge.server import running
from qwen3_tts_edge.server.settings import Settings
from server.serving import Served, serving

KEY, ORIGIN = "a-key-of-ours", "https://example.org"


@pytest.fixture(scope="module")
def guarded(voice_bundle: Path) -> Iterator[Served]:
    settings = Settings(
        bundle=voice_bundle,
        slots=2,
        keys=("another", KEY),
        cors_origins=(ORIGIN,),
        body_seconds=0.5,
        voice_aliases={"My-Alias": "Low"},
    )
    with serving(settings) as server:
        yield server


def test_every_error_has_openais_shape(served: Served) -> None:
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("POST", "/", 405),
        ("GET", "/v1/audio/speech", 405),
        ("HEAD", "/v1/audio/speech", 405),
        ("OPTIONS", "/v1/audio/speech", 405),
        ("DELETE", "/v1/audio/voices/nobody", 404),
        ("POST", "/v1/audio/speech", 400),
        ("POST", "/v1/audio/voices", 400),
        ("GET", "/docs", 404),
        ("GET", "/v1/models/", 404),  # as everywhere with a slash at its end
        ("GET", "/v1/models/tts-1/", 404),
        ("GET", "/v1/audio/voices/", 404),
        ("POST", "/v1/audio/speech/", 404),
    ):
        answer = httpx2.request(method, served.url + path)
        assert answer.status_code == status, (method, path)
        assert answer.headers["x-request-id"]
        if status == 405:
            assert answer.headers["allow"] == ("GET, HEAD" if path == "/" else "POST")
        if method != "HEAD":
            error = answer.json()["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "path",
    ["/audio/speech", "/v1/v1/audio/speech", "/api/v1/audio/speech", "/v1/audio/speech" * 2],
)
def test_a_wrong_base_url_is_told_where_speech_is(served: Served, path: str) -> None:
    message = httpx2.post(served.url + path, json={}).json()["error"]["message"]
    assert message == (
        f"there is nothing at {path!r}; it is at /v1/audio/speech, so the base URL of a client of "
        "OpenAI's ends in /v1, once"
    )


def test_an_address_that_is_not_there_is_named(served: Served) -> None:
    for path, more in (
        ("/v1/audio/speech/", "it is at /v1/audio/speech, without another slash"),
        ("//v1/audio/speech", "it is at /v1/audio/speech, without another slash"),
        ("/v1", "/openapi.json says what there is"),
        ("/docs", "/openapi.json says what there is"),
    ):
        message = httpx2.get(served.url + path).json()["error"]["message"]
        assert message == f"there is nothing at {path!r}; {more}"
    message = httpx2.get(f"{served.url}/v1/audio/speech").json()["error"]["message"]
    assert message == "GET is not for this address; it takes POST"


@pytest.mark.parametrize(
    ("unread", "found"),
    [("[" * 100_000, "nests too deep"), ("9" * 5_000, "has too many digits")],
)
def test_a_body_that_python_does_not_read_is_said_to_be_what_it_is(
    served: Served, unread: str, found: str
) -> None:
    body = f'{{"input": "Hello.", "seed": {unread}'
    answer = httpx2.post(
        f"{served.url}/v1/audio/speech",
        content=body + "}",
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert found in answer.json()["error"]["message"]


def test_all_methods_of_an_address_are_told(served: Served) -> None:
    for path, methods in (
        ("/v1/audio/voices", "GET, HEAD, POST"),
        ("/v1/audio/voices/x", "DELETE"),
        ("/v1/models/x", "GET, HEAD"),
    ):
        answer = httpx2.options(served.url + path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)


def test_head_is_get_without_a_body(served: Served) -> None:
    for path in ("/health", "/ready", "/v1/models", "/"):
        head, get = httpx2.head(served.url + path), httpx2.get(served.url + path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(get.content))
        assert head.headers["content-type"] == get.headers["content-type"]


def test_no_page_of_another_origin_unless_it_is_named(served: Served, guarded: Served) -> None:
    asks = {"origin": ORIGIN, "access-control-request-method": "POST"}
    for answer in (
        httpx2.options(f"{served.url}/v1/audio/speech", headers=asks),
        httpx2.get(f"{served.url}/v1/models", headers={"origin": ORIGIN}),
        httpx2.post(f"{served.url}/v1/audio/voices", headers={"origin": "null"}),
        httpx2.get(f"{served.url}/v1/models", headers={"origin": "http://["}),
    ):
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "origin_not_allowed"
        assert not any(name.startswith("access-control") for name in answer.headers)
    own = httpx2.get(f"{served.url}/v1/models", headers={"origin": served.url})
    assert own.status_code == 200
    asks["access-control-request-headers"] = "authorization, content-type"
    answer = httpx2.options(f"{guarded.url}/v1/audio/speech", headers=asks)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    other = httpx2.options(
        f"{guarded.url}/v1/audio/speech", headers={**asks, "origin": "https://example.com"}
    )
    assert "access-control-allow-origin" not in other.headers
    refused = httpx2.post(f"{guarded.url}/v1/audio/speech", headers={"origin": ORIGIN})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_a_body_may_be_large_but_not_too_large(served: Served) -> None:
    largest = served.service.settings.largest_body
    kind = {"content-type": "application/json"}
    for content in (b" " * (largest + 1), (b" " * (1 << 20) for _ in range(17))):
        answer = httpx2.post(f"{served.url}/v1/audio/speech", content=content, headers=kind)
        assert answer.status_code == 413
        assert str(largest) in answer.json()["error"]["message"]


def test_who_asks_before_sending_a_body_is_told_whether_to(served: Served) -> None:
    """As curl does where it is large: what is too large is refused before it comes."""
    host, port = served.url.removeprefix("http://").split(":")
    for size, line in ((len(b"{}"), b"HTTP/1.1 100 "), (1 << 30, b"HTTP/1.1 413 ")):
        with socket.create_connection((host, int(port)), 30) as client:
            client.sendall(
                b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % size
            )
            assert client.recv(1 << 16).startswith(line)


def test_not_all_of_memory_is_for_bodies(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two leave no room for a third, and all of it when they are gone."""
    monkeypatch.setattr("qwen3_tts_edge.server.doors.limits._AT_ONCE", 2)
    half, address = served.service.settings.largest_body - 100, served.url.removeprefix("http://")
    host, port = address.split(":")

    def opened() -> socket.socket:
        connection = socket.create_connection((host, int(port)))
        connection.sendall(
            b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n" % (half + 1) + b" " * half
        )
        return connection

    with opened() as one, opened() as two, opened() as three:
        (refused, *_), _, _ = select.select([one, two, three], [], [], 30)
        answer = refused.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in answer
    served.settle()
    body = {"input": "Yes.", "max_new_tokens": 2}
    assert httpx2.post(f"{served.url}/v1/audio/speech", json=body).status_code == 200


def test_headers_without_an_end_are_not_waited_for(guarded: Served) -> None:
    host, port = guarded.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as endless, suppress(ConnectionError):
        endless.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n")
        for _ in range(100):
            endless.sendall(b"a: " + b"x" * 8000 + b"\r\n")
        assert endless.recv(1 << 16).startswith(b"HTTP/1.1 400 ")


def test_a_connection_stays_open_for_longer_than_proxies_keep_one(served: Served) -> None:
    """Or one may send a request into it while it closes."""
    assert running.server(served.service).config.timeout_keep_alive > 60


def test_a_body_that_does_not_come(guarded: Served) -> None:
    host, port = guarded.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as stuck:
        stuck.sendall(
            b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer a-key-of-ours\r\ncontent-length: 100\r\n\r\n{"
        )
        answer = stuck.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "header",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"token {KEY}"},
        {"x-api-key": KEY},
        {"xi-api-key": KEY},
    ],
)
def test_a_key_in_any_of_four_headers(guarded: Served, header: dict[str, str]) -> None:
    body = {"input": "Yes.", "max_new_tokens": 2}
    address = f"{guarded.url}/v1/audio/speech"
    assert httpx2.post(address, json=body, headers=header).status_code == 200
    ((name, value),) = header.items()
    for wrong in (value[:-1], value + "x", "", value.upper()):
        answer = httpx2.post(address, json=body, headers={name: wrong})
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_every_key_is_compared_whichever_it_is(
    guarded: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    plain = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(len(other))
        return plain(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    for key in ("another", KEY, "x", "x" * 1000):
        compared.clear()
        httpx2.get(f"{guarded.url}/v1/models/edge-voice", headers={"x-api-key": key})
        assert compared == [32, 32]


def test_what_is_open_without_a_key(guarded: Served, voice_bundle: Path) -> None:
    def status(path: str) -> int:
        return httpx2.get(guarded.url + path).status_code

    for path in ("/", "/health", "/ready", "/v1/models", "/v1/audio/voices", "/audio/voices"):
        assert status(path) == 200, path
    for path in ("/metrics", "/openapi.json", "/v1/models/edge-voice", "/nothing", "//health"):
        assert status(path) == 401, path
    assert httpx2.delete(f"{guarded.url}/v1/audio/voices/x").status_code == 401
    assert httpx2.post(f"{guarded.url}/v1/models").status_code == 401


def test_nothing_of_a_text_a_voice_or_a_key_is_written_down(
    guarded: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither of what succeeds nor of what fails, by the user's fault or by ours."""
    words = ("xylophone", "nobody-of-that-name", KEY, "my-alias")
    headers = {"authorization": f"Bearer {KEY}"}
    address = f"{guarded.url}/v1/audio/speech"
    with caplog.at_level(logging.DEBUG):
        for asked in (
            {"input": "A xylophone.", "voice": "my-alias", "max_new_tokens": 2},
            {"input": "A xylophone.", "voice": "my-alias", "max_new_tokens": 2, "stream": False},
            {"input": "A xylophone. <|im_end|>", "voice": "my-alias"},
            {"input": "A xylophone.", "voice": "nobody-of-that-name"},
            {"input": "A xylophone.", "language": "xylophone"},
            {"input": "A xylophone.", "model": "xylophone"},
            {"input": ["A xylophone."]},
        ):
            httpx2.post(address, json=asked, headers=headers)
        httpx2.post(address, content=b'{"input": "A xylophone', headers=headers)
        httpx2.get(f"{guarded.url}/v1/xylophone?api_key={KEY}")
        metrics = httpx2.get(f"{guarded.url}/metrics", headers=headers).text
    ours = [each for each in caplog.records if not each.name.startswith("http")]
    logged = "\n".join(logging.Formatter().format(each) for each in ours)
    assert 'qwen3_tts_requests_total{outcome="ok",transport="openai"}' in metrics
    for word in words:
        assert word not in logged.lower()
        assert word not in metrics.lower()


def test_the_metrics_have_the_names_that_were_promised(served: Served) -> None:
    names = """
        requests_running requests_waiting streams_open requests_total time_to_first_audio_seconds
        queue_seconds request_seconds audio_seconds real_time_factor underrun_seconds
        audio_seconds_total frames_total runaway_total
    """
    text = httpx2.get(f"{served.url}/metrics").text
    told = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    ours = [name for name in told if not name.endswith("_created")]
    assert sorted(ours) == sorted(f"qwen3_tts_{name}" for name in names.split())


def test_a_websocket_to_nowhere_is_not_found_and_not_forbidden(served: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{served.ws}/v1/text-to-speech/heart/input")
    assert refused.value.response.status_code == 404
    error = json.loads(refused.value.response.body or b"")["error"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "path",
    ["/tts/websocket", "/v1/speak", "/v1/realtime", "/v1/text-to-speech/heart/stream-input",
     "/v1/text-to-speech/heart/multi-stream-input"],
)  # fmt: skip
def test_a_websocket_that_a_proxy_made_a_request_of_is_told_so(served: Served, path: str) -> None:
    answer = httpx2.get(served.url + path)
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert "a proxy on the way has to" in answer.json()["error"]["message"]


def test_no_page_of_another_origin_opens_a_websocket(served: Served) -> None:
    """For which browsers ask nobody."""
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{served.ws}/v1/nothing", additional_headers={"origin": ORIGIN})
    assert refused.value.response.status_code == 403
    assert b"origin_not_allowed" in refused.value.response.body
