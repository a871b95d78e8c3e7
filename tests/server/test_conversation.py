"""Sockets whose clients leave, stall or cannot be understood: nobody keeps a place by it."""

import json
import logging
import random
import socket as sockets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.protocol import State

from qwen3_tts_edge.codec.decoder import DecoderStream
from qwen3_tts_edge.server import listening, running
from qwen3_tts_edge.server.settings import Settings
from qwen3_tts_edge.server.sockets.context import _with_space
from qwen3_tts_edge.server.speaking.session import Session
from server import test_cartesia, test_deepgram, test_deepgram_flux, test_elevenlabs, test_realtime
from server.mutation import mutated
from server.reference import as_it_came
from server.serving import Served, serving
from server.sockets import Socket, conversation

TEXT = "Hi."
LONG = "Good morning, my friend. " * 200

Protocol = tuple[str, list[Any], Any]
PROTOCOLS: dict[str, Protocol] = {
    "cartesia": (
        "/tts/websocket?seed=7",
        [
            test_cartesia.of_pipecat(TEXT, "a"),
            test_cartesia.of_pipecat("", "a", goes_on=False),
            test_cartesia.of_livekit(f"{TEXT} ", "b"),
            test_cartesia.of_pipecat(TEXT, "c", flush=True),
            {"context_id": "b", "cancel": True},
        ],
        test_cartesia.of_pipecat(LONG, "long"),
    ),
    "deepgram": (
        "/v1/speak?model=heart&encoding=linear16&sample_rate=24000&seed=7",
        [test_deepgram.speak(TEXT), test_deepgram.FLUSH, test_deepgram.CLEAR, test_deepgram.CLOSE],
        test_deepgram.speak(LONG),
    ),
    "deepgram, flux": (
        "/v2/speak?model=heart&encoding=linear16&sample_rate=24000&seed=7",
        [
            test_deepgram.speak(TEXT),
            test_deepgram.FLUSH,
            test_deepgram_flux.INTERRUPT,
            test_deepgram_flux.interrupt(80),
            test_deepgram_flux.configure(1.0),
            test_deepgram.CLOSE,
        ],
        test_deepgram.speak(LONG),
    ),
    "elevenlabs": (
        "/v1/text-to-speech/heart/multi-stream-input?output_format=pcm_24000&seed=7",
        [
            test_elevenlabs.begin("a", speed=1.0),
            test_elevenlabs.say(TEXT, "a", flush=True),
            {"context_id": "a", "flush": True},
            test_elevenlabs.close("a"),
            {"text": ""},
            {"close_socket": True},
        ],
        test_elevenlabs.say(LONG, "long"),
    ),
    "elevenlabs, one text": (
        "/v1/text-to-speech/heart/stream-input?output_format=pcm_24000&seed=7",
        [test_elevenlabs.OF_SDK, {"text": TEXT, "flush": True}, {"text": ""}],
        test_elevenlabs.of_sdk(LONG),
    ),
    "realtime": (
        "/v1/realtime?model=tts-1&seed=7",
        [
            {
                "type": "session.update",
                "session": {"audio": {"output": {"voice": "heart", "speed": 1.0}}},
            },
            test_realtime.create(TEXT),
            test_realtime.item(TEXT),
            test_realtime.CREATE,
            {"type": "response.cancel"},
        ],
        test_realtime.create(LONG),
    ),
}


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return PROTOCOLS[request.param]


def has_sound(message: Any) -> bool:
    return isinstance(message, bytes) or bool({"data", "audio", "delta"} & set(message))


def until_sound(socket: Socket) -> None:
    while not has_sound(socket.hear()):
        pass


@pytest.mark.parametrize("leave", ["close", "abort"])
def test_who_leaves_gives_everything_back(served: Served, protocol: Protocol, leave: str) -> None:
    path, _, long = protocol
    with served.keeping(Session, DecoderStream), conversation(served.ws + path) as socket:
        socket.say(long)
        until_sound(socket)
        if leave == "close":
            socket.connection.close()
        else:
            socket.connection.socket.shutdown(sockets.SHUT_RDWR)
        served.settle()


KEYS = {
    "cartesia": {"X-API-Key": "secret"},
    "deepgram": {"Authorization": "Token secret"},
    "deepgram, flux": {"Authorization": "Token secret"},
    "elevenlabs": {"xi-api-key": "secret"},
    "elevenlabs, one text": {"xi-api-key": "secret"},
    "realtime": {"Authorization": "Bearer secret"},
}


@pytest.fixture(scope="module")
def narrow(voice_bundle: Path) -> Iterator[Served]:
    """Serve whoever has the key, one at once, and nobody waits for long."""
    settings = Settings(bundle=voice_bundle, slots=1, queue_seconds=0.2, keys=("secret",))
    with serving(settings) as server:
        yield server


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_key_is_shown_as_the_vendor_s_clients_show_it(narrow: Served, name: str) -> None:
    url = narrow.ws + PROTOCOLS[name][0]
    with conversation(url, additional_headers=KEYS[name]), conversation(f"{url}&api_key=secret"):
        pass
    with conversation(f"{url}&authorization=Bearer%20secret"):
        pass
    for wrong in ("api_key=other", "authorization=Bearer%20other"):
        with pytest.raises(InvalidStatus) as refused, conversation(f"{url}&{wrong}"):
            pass
        assert refused.value.response.status_code == 401


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("deepgram", ["token", "{}"]),
        ("deepgram, flux", ["token", "{}"]),
        ("realtime", ["realtime", "openai-insecure-api-key.{}", "openai-beta.realtime-v1"]),
    ],
)
def test_a_browser_shows_a_key_as_a_subprotocol(
    narrow: Served, name: str, offered: list[str]
) -> None:
    """It cannot set headers, and so the vendors' own clients do."""
    url = narrow.ws + PROTOCOLS[name][0]
    with conversation(url, subprotocols=[each.format("secret") for each in offered]) as socket:
        assert socket.connection.subprotocol == offered[0]
    others = [each.format("other") for each in offered]
    with pytest.raises(InvalidStatus) as refused, conversation(url, subprotocols=others):
        pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("name", PROTOCOLS)
def test_of_subprotocols_the_first_is_taken_for_browsers_hang_up_else(
    served: Served, name: str
) -> None:
    url = served.ws + PROTOCOLS[name][0]
    for offered, taken in ((["realtime", "beta"], "realtime"), (None, None)):
        with conversation(url, subprotocols=offered) as socket:
            assert socket.connection.subprotocol == taken


def test_who_finds_no_place_is_told_and_who_leaves_makes_room(narrow: Served) -> None:
    flush, speak = test_deepgram.FLUSH, test_deepgram.speak
    other_path, path = PROTOCOLS["cartesia"][0], PROTOCOLS["deepgram"][0]
    with (
        conversation(f"{narrow.ws}{other_path}&api_key=secret") as other,
        conversation(f"{narrow.ws}{path}&api_key=secret") as socket,
    ):
        other.say(test_cartesia.of_pipecat(TEXT, "a"))  # has a place, and says no more
        while narrow.idle:
            time.sleep(0.005)
        socket.hear()
        socket.say(speak(TEXT), speak(TEXT))
        error = socket.hear()
        assert (error["type"], error["err_code"]) == ("Error", "OVERLOADED")
        socket.say(flush)  # for pipecat, which does not know what an error is
        assert socket.hear() == {"type": "Flushed", "sequence_id": 0}
        socket.say(speak(TEXT), flush)
        assert socket.hear()["type"] == "Error"
        assert socket.hear() == {"type": "Flushed", "sequence_id": 1}
        other.connection.close()
        narrow.settle()
        socket.say(speak(TEXT), flush)
        assert test_deepgram.heard(socket) == as_it_came(TEXT, 7)
    narrow.settle()


@pytest.mark.skipif(not hasattr(sockets, "TCP_USER_TIMEOUT"), reason="only Linux has it")
def test_who_takes_nothing_of_what_it_is_sent_is_gone_some_day(
    voice_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_STALLED", 500)
    path, _, long = PROTOCOLS["deepgram"]
    with serving(Settings(bundle=voice_bundle, slots=1)) as server, sockets.socket() as raw:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", int(server.ws.rsplit(":", 1)[1])))
        with conversation(server.ws + path, sock=raw, max_queue=1, ping_interval=None) as socket:
            socket.say(long)
            until_sound(socket)
            server.settle()
            with pytest.raises(ConnectionClosed):
                socket.until("the end")


def test_a_ping_is_waited_for_longer_than_a_reader() -> None:
    """Its answer comes when what was sent before is read, and for that there is a minute."""
    assert 1000 * running._ANSWER > listening._STALLED


@pytest.mark.slow
def test_who_does_not_read_for_most_of_a_minute_hears_it_all(served: Served) -> None:
    path, _, _ = PROTOCOLS["deepgram"]
    with conversation(served.ws + path, max_queue=1, ping_interval=None) as socket:
        socket.say(test_deepgram.speak(LONG), test_deepgram.FLUSH)
        until_sound(socket)
        time.sleep(50)
        assert socket.until("Flushed")


@pytest.mark.parametrize("count", [250, pytest.param(10_000, marks=pytest.mark.slow)])
def test_nothing_that_a_client_says_is_the_server_s_fault(
    served: Served, protocol: Protocol, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Some messages are right, and speak; all are answered, and no place and no slot is lost."""
    path, messages, long = protocol
    rng = random.Random(path)
    said = errors = 0
    ends = "/stream-input" in path  # with the first mistake, or when all is spoken
    count //= 10 if ends else 1
    while said < count:
        with conversation(served.ws + path) as socket, suppress(ConnectionClosed):
            # Some close it, as they may; the next one is opened then.
            for _ in range(1 if ends else 50):
                socket.say(mutated(rng.choice(messages), rng))
                said += 1
            if ends:
                socket.say({"text": ""})
            answers = test_elevenlabs.to_its_end(socket) if ends else at_hand(socket)
            errors += sum(is_error(each) for each in answers)
    assert errors > count / 10
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
    served.settle(60)
    with conversation(served.ws + path) as socket:
        socket.say(long)
        until_sound(socket)


def at_hand(socket: Socket) -> Iterator[Any]:
    """Give what was answered until now, or until the server closed the socket."""
    answered = socket.connection.ping()
    while not answered.wait(0.02) and socket.connection.state is State.OPEN:
        pass
    with suppress(TimeoutError, ConnectionClosed):
        while True:
            message = socket.connection.recv(timeout=0)
            yield message if isinstance(message, bytes) else json.loads(message)


def is_error(message: Any) -> bool:
    if isinstance(message, bytes):
        return False
    return "error" in message or message.get("type") in ("error", "Error", "Warning")


@pytest.mark.parametrize(
    ("last", "text", "together"),
    [
        ("Hello there.", "How are you?", "Hello there. How are you?"),
        ("He said “Yes!”", "“No.”", "He said “Yes!” “No.”"),
        ("Hello there. ", "How", "Hello there. How"),
        ("Hel", "lo", "Hello"),
        ("It costs 3.", "50", "It costs 3.50"),
        ("Bonjour.", " Ça va ?", "Bonjour. Ça va ?"),
        (".", "com", ".com"),
        ("你好。", "你好吗？", "你好。你好吗？"),
        ("", "Hello", "Hello"),
    ],
)
def test_sentences_that_come_without_a_blank_get_one(last: str, text: str, together: str) -> None:
    assert last + _with_space(last, text) == together
