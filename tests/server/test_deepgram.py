"""Deepgram's socket: messages are, byte for byte, those of pipecat 1.14 and livekit 1.8.9."""

import json
from dataclasses import replace

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from qwen3_tts_edge.bundle.names import STREAMED
from qwen3_tts_edge.server.sockets import context
from server.reference import as_it_came, spoken
from server.serving import Served
from server.sockets import Socket, conversation, encoded

FIRST, SECOND = "Good morning.", "How are you?"
FLUSH, CLEAR, CLOSE = (json.dumps({"type": order}) for order in ("Flush", "Clear", "Close"))


def speak(text: str) -> str:
    return json.dumps({"type": "Speak", "text": text})


def heard(socket: Socket) -> bytes:
    """Listen until a flush is answered."""
    *before, last = socket.until("Flushed")
    assert last["type"] == "Flushed"
    return b"".join(before)


@pytest.fixture
def url(served: Served) -> str:
    return f"{served.ws}/v1/speak?model=heart&encoding=linear16&sample_rate=24000&seed=7"


def test_words_of_livekit_are_one_text(url: str) -> None:
    key = {"Authorization": "Token any"}
    with conversation(f"{url}&mip_opt_out=false", additional_headers=key) as socket:
        greeting = socket.hear()
        assert (greeting["type"], greeting["model_name"]) == ("Metadata", "heart")
        socket.say(*(speak(f"{word} ") for word in f"{FIRST} {SECOND}".split()), FLUSH)
        assert heard(socket) == as_it_came(f"{FIRST} {SECOND}", 7)


def test_a_sentence_is_spoken_before_the_next_one_comes(url: str) -> None:
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak("This is a sentence of some length, and it ends here. "))
        assert isinstance(socket.hear(), bytes)


def test_a_text_that_nobody_ends_is_spoken_all_the_same(
    url: str, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "PATIENCE", 0.05)
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(FIRST))
        wanted = as_it_came(FIRST, 7)
        heard_so_far = b""
        while len(heard_so_far) < len(wanted):
            heard_so_far += socket.hear()
        assert heard_so_far == wanted
        served.settle()
        socket.say(speak(SECOND), FLUSH)
        assert heard(socket) == as_it_came(SECOND, 7)


def test_each_flush_is_answered_after_the_last_byte_of_its_text(url: str, served: Served) -> None:
    with conversation(url.replace("24000", "16000")) as socket:
        socket.hear()
        socket.say(FLUSH)
        assert socket.hear() == {"type": "Flushed", "sequence_id": 0}
        socket.say(speak("… "), speak("🎉"), FLUSH)  # nothing to say is no fault
        assert socket.hear() == {"type": "Flushed", "sequence_id": 1}
        socket.say(speak(FIRST), FLUSH, speak("… "), FLUSH, speak(SECOND), FLUSH)
        assert heard(socket) == encoded(FIRST, 7, "pcm", 16_000, text_layout=STREAMED)
        assert heard(socket) == b""
        assert heard(socket) == encoded(SECOND, 7, "pcm", 16_000, text_layout=STREAMED)
        served.settle()  # whoever only waits for text has no place
        socket.say(speak(FIRST), FLUSH)
        assert heard(socket) == encoded(FIRST, 7, "pcm", 16_000, text_layout=STREAMED)


def test_telephones_need_not_name_their_rate(url: str) -> None:
    with conversation(url.replace("linear16&sample_rate=24000", "mulaw")) as socket:
        socket.hear()
        socket.say(speak(FIRST), FLUSH)
        assert heard(socket) == encoded(FIRST, 7, "pcm_mulaw", 8000, text_layout=STREAMED)


@pytest.mark.parametrize(("waits", "outcome"), [(True, "ok"), (False, "cancelled")])
def test_who_leaves_when_all_is_spoken_has_cancelled_nothing(
    url: str, served: Served, waits: bool, outcome: str
) -> None:
    def count() -> float:
        labels = {"transport": "deepgram", "outcome": outcome}
        registry = served.service.metrics.registry
        return registry.get_sample_value("qwen3_tts_requests_total", labels) or 0.0

    before = count()
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(f"{FIRST} {SECOND}"), FLUSH)
        if waits:
            heard(socket)
        else:
            assert isinstance(socket.hear(), bytes)
    served.settle()
    assert count() == before + 1


def test_a_flush_is_answered_however_much_is_under_way(
    url: str, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(served.service.settings, largest_text=len(FIRST))
    monkeypatch.setattr(served.service, "settings", settings)
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(FIRST), speak(SECOND), FLUSH)
        *before, last = socket.until("Flushed")
    assert [each["type"] for each in before if not isinstance(each, bytes)] == ["Warning"]
    assert b"".join(m for m in before if isinstance(m, bytes)) == as_it_came(FIRST, 7)
    assert last == {"type": "Flushed", "sequence_id": 0}


def test_after_a_clear_nothing_of_before_is_heard(url: str, served: Served) -> None:
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(f"{FIRST} {SECOND} " * 20), FLUSH)
        assert isinstance(socket.hear(), bytes)
        socket.say(CLEAR)
        *before, cleared = socket.until("Cleared")
        assert all(isinstance(each, bytes) for each in before)
        assert cleared == {"type": "Cleared", "sequence_id": 0}
        served.settle()
        socket.say(speak(SECOND), FLUSH)
        assert heard(socket) == as_it_came(SECOND, 7)


def test_a_close_comes_after_all_is_spoken(url: str) -> None:
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(FIRST), FLUSH, CLOSE, speak(SECOND), FLUSH)
        assert heard(socket) == as_it_came(FIRST, 7)
        assert list(socket.connection) == []
        assert socket.connection.close_code == 1000


def test_a_message_that_is_wrong_is_warned_of_and_the_speech_goes_on(url: str) -> None:
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(FIRST), '{"type": "Shout"}', '{"type": "Speak"}', "{", b"\0", FLUSH)
        *messages, _ = socket.until("Flushed")
    assert b"".join(m for m in messages if isinstance(m, bytes)) == as_it_came(FIRST, 7)
    warnings = [each["warn_msg"] for each in messages if not isinstance(each, bytes)]
    assert [each[:25] for each in warnings] == [
        "the message: Input tag 'S",
        "text: Field required",
        "the message is not JSON: "[:25],
        "the message is not JSON: "[:25],
    ]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("model=nobody", "there is no voice 'nobody'"),
        ("encoding=mp3", "encoding: Input should be 'linear16', 'mulaw' or 'alaw'"),
        ("container=wav", "container: Input should be 'none'"),
        ("sample_rate=100", "the sample rate is 100 Hz"),
        ("speed=9", "the speed is 9"),
    ],
)
def test_an_address_that_is_wrong_is_refused_before_the_socket_opens(
    served: Served, asked: str, found: str
) -> None:
    with pytest.raises(InvalidStatus) as refused, conversation(f"{served.ws}/v1/speak?{asked}"):
        pass
    assert refused.value.response.status_code == 400
    assert found in (refused.value.response.body or b"").decode()


def test_a_text_over_http(served: Served) -> None:
    url = f"{served.url}/v1/speak?model=heart&encoding=linear16&seed=7"
    raw = httpx2.post(f"{url}&container=none&sample_rate=24000", json={"text": FIRST})
    assert raw.content == spoken(FIRST, 7)
    assert httpx2.post(url, json={"text": FIRST}).content[44:] == raw.content
    told = {name: raw.headers[f"dg-{name}"] for name in ("model-name", "char-count", "request-id")}
    wanted = {"model-name": "heart", "char-count": str(len(FIRST))}
    assert told == {**wanted, "request-id": raw.headers["x-request-id"]}
    with conversation(url.replace("http", "ws")) as socket:
        assert raw.headers["dg-model-uuid"] == socket.hear()["model_uuid"]
    for law in ("mulaw", "alaw"):  # 8 kHz in WAV, as there, unless told otherwise
        heard = encoded(FIRST, 7, f"pcm_{law}", 8000)
        url = f"{served.url}/v1/speak?model=heart&encoding={law}&seed=7"
        answer = httpx2.post(url, json={"text": FIRST})
        assert (answer.headers["content-type"], answer.content[58:]) == ("audio/wav", heard)
        answer = httpx2.post(f"{url}&container=none", json={"text": FIRST})
        assert (answer.headers["content-type"], answer.content) == (f"audio/{law}", heard)
    for asked, text, param in (
        ("encoding=linear16&container=ogg", FIRST, "container"),
        ("encoding=mulaw&container=ogg", FIRST, "container"),
        ("encoding=opus&container=wav", FIRST, "container"),
        ("encoding=flac&bit_rate=9", FIRST, "bit_rate"),
        ("encoding=mp3&sample_rate=9", FIRST, "sample_rate"),
        ("speed=9", FIRST, "speed"),
        ("model=nobody", FIRST, "model"),
        ("language=xx", FIRST, "language"),
        ("model=heart", "<|im_end|>", "text"),
        ("model=heart", r'Take \{"word": "aspirin", "pronounce": "æsprɪn"\}.', "text"),
        ("callback=https%3A%2F%2Fexample.org", FIRST, "callback"),
        ("callback_method=put", FIRST, "callback_method"),
    ):
        wrong = httpx2.post(f"{served.url}/v1/speak?{asked}", json={"text": text})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, param)
        # all that its clients before version 5 tell
        assert wrong.json()["err_msg"] == wrong.json()["error"]["message"]
        assert wrong.json()["err_code"] == "INVALID_REQUEST_ERROR"
