"""Who is refused, how clients take it, and what becomes of those who speak when the worker dies."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import pytest
from httpx_sse import EventSource
from openai import _base_client

from qwen3_tts_edge.server.settings import Settings
from server.serving import Served, serving

LONG = "The train to the coast leaves at seven, and the last one back is before midnight. " * 20


@pytest.fixture(scope="module")
def narrow(voice_bundle: Path) -> Iterator[Served]:
    """One may speak, nobody wait; a key may have one request."""
    settings = Settings(bundle=voice_bundle, slots=1, queue=0, keys=("first", "second"), per_key=1)
    with serving(settings) as server:
        yield server


def client_of(served: Served, key: str = "first", retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=retries)


def ask(client: openai.OpenAI, text: str = "Yes.", **more: Any) -> bytes:
    found: bytes = client.audio.speech.create(
        model="tts-1", voice="heart", input=text, response_format="pcm", extra_body=more
    ).read()
    return found


def streaming(client: openai.OpenAI, text: str = LONG) -> Any:
    return client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="heart", input=text, response_format="pcm"
    )


def test_a_key_that_has_too_many_and_a_server_that_is_full(narrow: Served) -> None:
    with streaming(client_of(narrow)) as answer:
        parts = answer.iter_bytes()
        next(parts)
        with pytest.raises(openai.RateLimitError) as own:
            ask(client_of(narrow))
        with pytest.raises(openai.InternalServerError) as full:
            ask(client_of(narrow, "second"))
    assert (own.value.status_code, own.value.code) == (429, "rate_limited")
    assert (full.value.status_code, full.value.code) == (503, "overloaded")
    for error in (own.value, full.value):
        assert int(error.response.headers["retry-after"]) >= 1
        assert "try again in" in error.message
    narrow.settle()


@pytest.mark.parametrize("key", ["first", "second"])
def test_clients_come_again_when_they_are_told_to(
    narrow: Served, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    with streaming(client_of(narrow)) as answer:
        parts = answer.iter_bytes()
        next(parts)

        def free(seconds: float) -> None:
            waited.append(seconds)
            answer.close()
            narrow.settle()

        patient = SimpleNamespace(**{**vars(time), "sleep": free})
        monkeypatch.setattr(_base_client, "time", patient)
        with pytest.raises(openai.APIStatusError) as refused:
            ask(client_of(narrow, key))
        assert ask(client_of(narrow, key, retries=2))
    assert waited == [float(refused.value.response.headers["retry-after"])]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/audio/speech", {"input": LONG}),
        ("/v1/audio/speech", {"input": LONG, "stream": False}),
        ("/tts/bytes", {"transcript": LONG}),
        ("/v1/speak", {"text": LONG}),
        ("/v1/text-to-speech/heart", {"text": LONG}),
    ],
)
def test_who_leaves_while_waiting_takes_no_place_in_the_queue(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any]
) -> None:
    admission = served.service.admission
    monkeypatch.setattr(admission, "_places", 1)
    monkeypatch.setattr(admission, "_seconds", 600.0)
    with streaming(client_of(served)) as answer:
        parts = answer.iter_bytes()
        next(parts)
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(served.url + path, json=body, timeout=0.3)
        end = time.monotonic() + 10
        while admission.waiting:
            assert time.monotonic() < end
            time.sleep(0.005)
        assert admission.running == 1
    served.settle()


def test_who_is_refused_leaves_nothing_behind(narrow: Served) -> None:
    for _ in range(3):
        with pytest.raises(openai.BadRequestError):
            ask(client_of(narrow), "Say <|im_end|>")
        narrow.settle()
    assert ask(client_of(narrow))


def dying(served: Served, after: int) -> Callable[[], bool]:
    """Make frames, and break at one of them in a way that nobody expects."""
    step, made = served.service.synthesizer.step, 0

    def fails() -> bool:
        nonlocal made
        made += 1
        if made > after:
            raise MemoryError("injected by a test")
        return step()

    return fails


def test_a_worker_that_dies_ends_streams_as_errors(
    voice_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Settings(bundle=voice_bundle, slots=4)) as server:
        client = client_of(server)
        assert httpx2.get(f"{server.url}/health").json() == {"status": "healthy"}
        with (
            streaming(client) as plain,
            httpx2.stream(
                "POST",
                f"{server.url}/v1/audio/speech",
                json={"input": LONG, "stream_format": "sse", "response_format": "mp3"},
            ) as events,
        ):
            parts, told = plain.iter_bytes(), EventSource(events).iter_sse()
            assert next(parts)
            assert base64.b64decode(json.loads(next(told).data)["audio"])
            monkeypatch.setattr(server.service.synthesizer, "step", dying(server, 3))
            with pytest.raises(httpx2.RemoteProtocolError):
                list(parts)
            last: list[dict[str, Any]] = []
            with pytest.raises(httpx2.RemoteProtocolError):
                last.extend(json.loads(event.data) for event in told)
        end = time.monotonic() + 10
        while (health := httpx2.get(f"{server.url}/health")).status_code == 200:
            assert time.monotonic() < end
        assert (health.status_code, health.json()) == (503, {"status": "dead"})
        assert httpx2.get(f"{server.url}/ready").status_code == 503
        for whole in (None, False):
            with pytest.raises(openai.InternalServerError) as dead:
                ask(client, stream=whole)
            assert dead.value.code == "unavailable"
            assert "start it again" in dead.value.message
        server.settle()


def test_a_launch_that_fails_is_not_the_end_of_the_server(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the speech of everybody who was in it, which is one failure and not one for each."""
    slots = served.service.synthesizer._scheduler._slots
    step, broken = slots.step, iter([True])

    def fails(rows: Any) -> Any:
        if len(rows) == 4 and next(broken, False):
            raise RuntimeError("injected by a test")
        return step(rows)

    monkeypatch.setattr(slots, "step", fails)

    def cut(_: int) -> bool:
        with pytest.raises(httpx2.RemoteProtocolError), streaming(client_of(served)) as answer:
            list(answer.iter_bytes())
        return True

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(cut, range(4))) == [True] * 4
    assert httpx2.get(f"{served.url}/health").status_code == 200
    assert ask(client_of(served))


def test_events_of_a_speech_that_fails_say_so_and_are_cut_off(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One speech that fails is nobody else's trouble, and its error is told in an event."""
    from qwen3_tts_edge.errors import BackendError
    from qwen3_tts_edge.speech.stream import Stream

    taking, taken = Stream.taking, 0

    def fails(self: Stream) -> Any:
        nonlocal taken
        taken += 1
        if taken > 5:
            raise BackendError("injected by a test")
        return taking(self)

    monkeypatch.setattr(Stream, "taking", fails)
    found: list[dict[str, Any]] = []
    body = {"input": LONG, "stream_format": "sse"}
    with (
        httpx2.stream("POST", f"{served.url}/v1/audio/speech", json=body) as answer,
        pytest.raises(httpx2.RemoteProtocolError),
    ):
        found.extend(json.loads(event.data) for event in EventSource(answer).iter_sse())
    assert found[-1]["type"] == "speech.audio.error"
    assert found[-1]["error"]["message"] == "injected by a test"
    assert httpx2.get(f"{served.url}/health").status_code == 200
    served.settle()


def test_a_whole_answer_that_fails_is_an_error(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qwen3_tts_edge.speech.whole import Pieces

    def fails(_: Pieces) -> None:
        raise ZeroDivisionError("injected by a test")

    with monkeypatch.context() as patched:
        patched.setattr(Pieces, "take", fails)
        with pytest.raises(openai.InternalServerError) as failed:
            ask(client_of(served), stream=False)
    assert failed.value.status_code == 500
    assert "injected" not in failed.value.message
    served.settle()
    assert ask(client_of(served), stream=False)
