"""Cartesia's socket: messages are, byte for byte, those of pipecat 1.14 and livekit 1.8.9."""

import json
import time
from datetime import datetime
from typing import Any

import httpx2
import pytest
from httpx_sse import EventSource

from server.reference import as_it_came, spoken
from server.serving import Served
from server.sockets import Socket, conversation, encoded, sound
from server.uploads import upload

FIRST, SECOND = "Good morning.", "How are you?"
BOTH = f"{FIRST} {SECOND}"


def of_pipecat(transcript: str, name: str, *, goes_on: bool = True, **more: Any) -> str:
    message = {
        "transcript": transcript,
        "continue": goes_on,
        "context_id": name,
        "model_id": "sonic-3.6",
        "voice": {"mode": "id", "id": "heart"},
        "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
        "add_timestamps": True,
        "use_normalized_timestamps": False,
        "max_buffer_delay_ms": 0,
        "language": "en",
    }
    return json.dumps({**message, **more})


def of_livekit(transcript: str, name: str, *, goes_on: bool = True) -> str:
    message = {
        "model_id": "sonic-3",
        "voice": {"mode": "id", "id": "heart"},
        "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
        "language": None,
        "add_timestamps": True,
        "max_buffer_delay_ms": 0,
        "context_id": name,
        "transcript": transcript,
        "continue": goes_on,
    }
    return json.dumps(message)


def of_context(messages: list[Any], name: str | None) -> list[Any]:
    return [each for each in messages if each["context_id"] == name]


def heard(messages: list[Any], name: str) -> bytes:
    return sound(of_context(messages, name), "data")


def until_done(socket: Socket, *names: str) -> list[Any]:
    """Listen until each of these contexts is over."""
    messages: list[Any] = []
    while set(names) - {each["context_id"] for each in messages if each["done"]}:
        messages.append(socket.hear())
    return messages


@pytest.fixture
def url(served: Served) -> str:
    return f"{served.ws}/tts/websocket?seed=7"


def test_sentences_of_pipecat_are_one_text(url: str, served: Served) -> None:
    key = {"X-API-Key": "any", "Cartesia-Version": "2026-03-01"}
    with conversation(url, additional_headers=key) as socket:
        socket.say(of_pipecat(FIRST, "a"), of_pipecat(SECOND, "a"))
        socket.say(of_pipecat("", "a", goes_on=False))
        messages = until_done(socket, "a")
    assert heard(messages, "a") == as_it_came(BOTH, 7, language="en")
    assert messages[-1] == {"type": "done", "context_id": "a", "done": True, "status_code": 200}
    chunk = messages[0]
    assert (chunk["type"], chunk["done"], chunk["status_code"]) == ("chunk", False, 206)
    served.settle()


def test_sentences_of_livekit_are_one_text(url: str) -> None:
    with conversation(f"{url}&cartesia_version=2025-04-16") as socket:
        socket.say(of_livekit(f"{FIRST} ", "a"), of_livekit(f"{SECOND} ", "a"))
        socket.say(of_livekit(" ", "a", goes_on=False))
        assert heard(until_done(socket, "a"), "a") == as_it_came(BOTH, 7)


def test_contexts_speak_side_by_side(url: str) -> None:
    with conversation(url) as socket:
        socket.say(of_pipecat(FIRST, "a"), of_pipecat(SECOND, "b"))
        socket.say(of_pipecat("", "b", goes_on=False), of_pipecat("", "a", goes_on=False))
        messages = until_done(socket, "a", "b")
    assert heard(messages, "a") == as_it_came(FIRST, 7, language="en")
    assert heard(messages, "b") == as_it_came(SECOND, 7, language="en")
    order = [each["context_id"] for each in messages]
    assert order.index("b") < len(order) - 1 - order[::-1].index("a")  # b before the last of a
    assert order.index("a") < len(order) - 1 - order[::-1].index("b")


def test_what_is_cancelled_is_silent_at_once_and_gives_its_slot_back(
    url: str, served: Served
) -> None:
    with conversation(url) as socket:
        socket.say(of_pipecat(f"{BOTH} " * 20, "a"))
        assert socket.hear()["context_id"] == "a"
        socket.say({"context_id": "a", "cancel": True})
        served.settle()
        socket.say(of_pipecat(SECOND, "b", goes_on=False))
        messages = until_done(socket, "b")
        assert heard(messages, "b") == spoken(SECOND, 7, language="en")
        assert not any(each["done"] for each in of_context(messages, "a"))
        first_of_b = messages.index(of_context(messages, "b")[0])
        assert of_context(messages[first_of_b:], "a") == []
        socket.say({"context_id": "nobody", "cancel": True}, of_pipecat("", "c", goes_on=False))
        assert socket.hear()["type"] == "done"  # and nothing to a cancel of what is not there


def test_a_flush_is_answered_after_the_last_of_its_sound(url: str) -> None:
    with conversation(url) as socket:
        socket.say(of_pipecat(FIRST, "a", flush=True), of_pipecat("", "a", flush=True))
        messages = socket.until("flush_done")
        assert heard(messages, "a") == as_it_came(FIRST, 7, language="en")
        assert (messages[-1]["flush_id"], messages[-1]["done"]) == (1, False)
        assert socket.hear()["flush_id"] == 2
        socket.say(of_pipecat(SECOND, "a", goes_on=False))
        messages = until_done(socket, "a")
        assert heard(messages, "a") == spoken(SECOND, 7, language="en")


def test_a_message_alone_needs_no_name(url: str) -> None:
    with conversation(url) as socket:
        socket.say({"transcript": FIRST, "voice": {"mode": "id", "id": "heart"}})
        messages = [socket.hear()]
        while not messages[-1]["done"]:
            messages.append(socket.hear())
    assert sound(messages, "data") == spoken(FIRST, 7)


def test_signs_alone_are_nothing_to_say_and_belong_to_the_word_after_them(
    url: str, served: Served
) -> None:
    with conversation(url) as socket:
        socket.say(of_pipecat("👍", "a", goes_on=False), of_pipecat("“", "b"))
        assert [socket.hear()["type"]] == ["done"]
        assert served.idle
        socket.say(of_pipecat("Good morning.”", "b", goes_on=False))
        data = heard(until_done(socket, "b"), "b")
        assert data == spoken("“Good morning.”", 7, language="en")


def test_null_is_as_good_as_absent(url: str, served: Served) -> None:
    nothing = dict.fromkeys(("flush", "cancel", "language", "model_id", "generation_config"))
    form = {"container": None, "encoding": None, "sample_rate": None, "bit_rate": None}
    message = {**nothing, "transcript": FIRST, "voice": {"id": "heart", "mode": None}}
    with conversation(url) as socket:
        for output in (form, None):
            socket.say({**message, "context_id": "a", "continue": None, "output_format": output})
            assert heard(until_done(socket, "a"), "a") == spoken(FIRST, 7)
    answer = httpx2.post(f"{served.url}/tts/bytes?seed=7", json={**message, "output_format": form})
    assert answer.content == spoken(FIRST, 7)


def test_what_is_wrong_is_said_and_the_other_contexts_speak_on(url: str, served: Served) -> None:
    nobody = {"mode": "id", "id": "nobody"}
    wrong = {
        "voice": (of_pipecat(FIRST, "voice", voice=nobody), "no voice 'nobody'"),
        "language": (of_pipecat(FIRST, "language", language="xx"), "language 'xx' is unknown"),
        "token": (of_pipecat("<|im_end|>", "token", goes_on=False), "<|im_end|>"),
        "speed": (of_pipecat(FIRST, "speed", generation_config={"speed": 9}), "speed is 9"),
        "type": ({"context_id": "type", "transcript": 5}, "transcript: Input should be a"),
        "tag": (
            of_pipecat(f'<speed ratio="1.5"/> {FIRST}', "tag"),
            'is <speed ratio="1.5"/>; send',
        ),
        "locale": (of_pipecat(FIRST, "locale", locale="en-GB"), "there is language too"),
    }
    unnamed = {
        of_pipecat("a" * (128 << 10), "size"): "larger than 131072 bytes",
        '{"context_id": "b", "transcript": ': "is not JSON",
        "[]": "should be an object",
        b"\x00\x01": "is not JSON",
    }
    with conversation(url) as socket:
        opened = socket.connection.response
        assert opened is not None
        socket.say(of_pipecat(FIRST, "a"), *(message for message, _ in wrong.values()), *unnamed)
        socket.say(of_pipecat("", "a", goes_on=False))
        messages = until_done(socket, "a", *wrong)
    assert heard(messages, "a") == as_it_came(FIRST, 7, language="en")
    errors = [each for each in messages if each["type"] == "error"]
    heads = {(e["status_code"], e["title"], e["error_code"], e["done"]) for e in errors}
    assert heads == {(400, "Bad Request", "invalid_request_error", True)}
    assert all(each["error"] == each["message"] for each in errors)  # as it was called before
    assert {each["request_id"] for each in errors} == {opened.headers["x-request-id"]}
    for name, (_, found) in wrong.items():
        [error] = of_context(errors, name)
        assert found in error["message"]
    for error, found in zip(of_context(errors, None), unnamed.values(), strict=True):
        assert found in error["message"]
    served.settle()


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("voice", {"mode": "id", "id": "low"}),
        ("language", "de"),
        ("locale", "en-GB"),
        ("output_format", {"container": "raw", "encoding": "pcm_f32le", "sample_rate": 24000}),
    ],
)
def test_a_context_keeps_what_it_was_begun_with(url: str, field: str, other: Any) -> None:
    """But for its end: pipecat ends one with the voice of the next."""
    with conversation(url) as socket:
        socket.say(of_pipecat(FIRST, "a"), of_pipecat(SECOND, "a", **{field: other}))
        socket.say({"context_id": "a", "transcript": f" {SECOND}", "continue": True})
        socket.say(of_pipecat("", "a", goes_on=False, **{field: other}))
        messages = [socket.hear()]
        while messages[-1]["type"] != "done":
            messages.append(socket.hear())
    [error] = [each for each in messages if each["type"] == "error"]
    assert error["context_id"] == "a"
    assert error["message"] == "the context was begun with another; begin another context"
    assert heard(messages, "a") == as_it_came(BOTH, 7, language="en")


def test_a_name_can_be_used_again_once_its_text_was_given_up_and_has_ended(url: str) -> None:
    with conversation(url) as socket:
        socket.say(of_pipecat("<|im_end|>", "a", goes_on=False))
        assert socket.hear()["type"] == "error"
        socket.say(of_pipecat("Set a <|im_end|> timer for ten minutes, will you", "b"))
        assert socket.hear()["type"] == "error"
        socket.say(of_pipecat(FIRST, "b"), of_pipecat("", "b", goes_on=False))  # its rest
        socket.say(of_pipecat(FIRST, "a", goes_on=False), of_pipecat(FIRST, "b", goes_on=False))
        messages = until_done(socket, "a", "b")
    for name in "ab":
        assert heard(messages, name) == spoken(FIRST, 7, language="en")


def test_there_are_bounds_to_a_text_and_to_the_number_of_contexts(url: str) -> None:
    with conversation(url) as socket:
        socket.say(*(of_pipecat("Hi", str(number)) for number in range(33)))
        refused = socket.hear()
        assert (refused["context_id"], refused["status_code"]) == ("32", 503)
        assert "32 contexts" in refused["message"]
        socket.say(of_pipecat("a " * 50_000, "0"), of_pipecat("a", "0"))
        assert "100000 characters" in socket.hear()["message"]


def test_contexts_that_nobody_ends_are_forgotten_when_there_are_too_many(url: str) -> None:
    with conversation(url) as socket:
        socket.say(*(of_pipecat(" ", str(number)) for number in range(40)))
        socket.say(of_pipecat(FIRST, "a", goes_on=False))
        assert heard(until_done(socket, "a"), "a") == spoken(FIRST, 7, language="en")


def test_other_rates_and_encodings(url: str) -> None:
    wanted = {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000}
    with conversation(url) as socket:
        socket.say(of_pipecat(FIRST, "a", goes_on=False, output_format=wanted))
        data = heard(until_done(socket, "a"), "a")
    assert data == encoded(FIRST, 7, "pcm_mulaw", 8000, language="en")


def test_bytes_over_http(served: Served) -> None:
    body = {
        "model_id": "sonic-3",
        "voice": {"mode": "id", "id": "heart"},
        "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
        "language": None,
        "transcript": FIRST,
    }
    url = f"{served.url}/tts/bytes"
    assert httpx2.post(url, params={"seed": 7}, json=body).content == spoken(FIRST, 7)
    named = httpx2.post(url, params={"seed": 7}, json={**body, "voice": "low", "locale": "en-GB"})
    assert named.content == spoken(FIRST, 7, voice="low", language="en")
    wav = httpx2.post(url, json={**body, "output_format": {"container": "wav"}})
    assert (wav.headers["content-type"], wav.content[:4]) == ("audio/wav", b"RIFF")
    for encoding, rate in (("pcm_f32le", 44_100), ("pcm_mulaw", 8000), ("pcm_s16le", 16_000)):
        form = {"container": "wav", "encoding": encoding, "sample_rate": rate}
        wav = httpx2.post(url, params={"seed": 7}, json={**body, "output_format": form})
        samples = encoded(FIRST, 7, encoding, rate)
        assert wav.content[44 if encoding == "pcm_s16le" else 58 :] == samples
    for asked, param in (
        ({"voice": {"mode": "id", "id": "nobody"}}, "voice"),
        ({"voice": {"mode": "embedding", "embedding": [1.0]}}, "voice"),
        ({"voice": {"mode": "id", "id": "heart", "embedding": [1.0]}}, "voice"),
        ({"voice": {"mode": "id"}}, "voice"),
        ({"voice": 5}, "voice"),
        ({"locale": "xx-XX"}, "locale"),
        ({"locale": "en", "language": "en"}, "locale"),
        ({"language": "xx"}, "language"),
        ({"output_format": "mp3"}, "output_format"),
        ({"output_format": {"container": "raw", "sample_rate": 9}}, "output_format"),
        ({"output_format": {"container": "wav", "encoding": "wav"}}, "output_format"),
        ({"generation_config": {"speed": 9}}, "generation_config"),
        ({"speed": "slowest of all"}, "speed"),
        ({"voice": {"id": "heart", "__experimental_controls": {"speed": 2}}}, "voice"),
        ({"transcript": ""}, "transcript"),
        ({"transcript": f'{FIRST}<break time="1s"/>{SECOND}'}, "transcript"),
        ({"transcript": "My name is <spell>Bob</spell>."}, "transcript"),
        ({"generation_config": {"emotion": "calm"}}, "generation_config"),
        ({"generation_config": {"volume": 0.5}}, "generation_config"),
        ({"voice": {"id": "heart", "__experimental_controls": {"emotion": ["anger"]}}}, "voice"),
        ({"pronunciation_dict_id": "a"}, "pronunciation_dict_id"),
        ({"duration": 2}, "duration"),
    ):
        wrong = httpx2.post(url, json={**body, **asked})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, param)


def test_events_over_http(served: Served) -> None:
    body = {"transcript": FIRST, "voice": {"id": "heart"}, "context_id": "a", "language": "en"}
    answer = httpx2.post(f"{served.url}/tts/sse?seed=7", json=body)
    events = [(each.event, each.json()) for each in EventSource(answer).iter_sse()]
    assert all(kind == said["type"] for kind, said in events)
    assert {said["context_id"] for _, said in events} == {"a"}
    *chunks, (_, last) = events
    assert len(chunks) > 1
    assert {(kind, said["status_code"], said["done"]) for kind, said in chunks} == {
        ("chunk", 206, False)
    }
    assert (last["type"], last["status_code"], last["done"]) == ("done", 200, True)
    assert sound([said for _, said in chunks], "data") == spoken(FIRST, 7, language="en")
    wrong = httpx2.post(f"{served.url}/tts/sse", json={**body, "voice": {"id": "nobody"}})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "voice")


@pytest.mark.parametrize(
    ("asked", "factor"),
    [
        ({"generation_config": {"speed": 1.2}, "speed": "slow"}, 1.2),
        ({"speed": "fast"}, 1.25),
        ({"generation_config": {"emotion": "neutral", "volume": 1.0}, "speed": "fast"}, 1.25),
        ({"speed": "normal"}, 1.0),
        ({"speed": -0.5}, 0.8),
        ({"voice": {"id": "heart", "__experimental_controls": {"speed": "slowest"}}}, 0.6),
        ({"voice": {"id": "heart", "__experimental_controls": {"speed": 1, "emotion": []}}}, 1.5),
    ],
)
def test_every_version_s_own_word_for_the_speed(
    url: str, served: Served, asked: dict[str, Any], factor: float
) -> None:
    expected = encoded(FIRST, 7, "pcm", 24_000, language="en", factor=factor)
    with conversation(url) as socket:
        socket.say(of_pipecat(FIRST, "a", goes_on=False, **asked))
        assert heard(until_done(socket, "a"), "a") == expected
    body = {"transcript": FIRST, "voice": {"id": "heart"}, "language": "en", **asked}
    answer = httpx2.post(f"{served.url}/tts/bytes?seed=7", json=body)
    assert answer.content == expected


def ids(client: httpx2.Client, query: str = "") -> tuple[list[str], bool]:
    page = client.get(f"/voices?{query}").json()
    assert page["next_page"] == (page["data"][-1]["id"] if page["has_more"] else None)
    return [each["id"] for each in page["data"]], page["has_more"]


def test_its_list_of_voices_has_pages_and_an_end(served: Served) -> None:
    """Its client asks for what is after the last voice until there is none."""
    with httpx2.Client(base_url=served.url) as client:
        assert ids(client) == (["heart", "low"], False)
        assert ids(client, "limit=1") == (["heart"], True)
        assert ids(client, "limit=1&starting_after=heart") == (["low"], False)
        assert (
            ids(client, "starting_after=low") == ids(client, "starting_after=gone") == ([], False)
        )
        assert ids(client, "limit=1&ending_before=low") == (["heart"], False)
        assert ids(client, "q=LO") == (["low"], False)
        assert ids(client, "is_owner=true") == ids(client, "gender=feminine") == ([], False)
        assert client.get("/voices/").json() == client.get("/voices").json()  # before version 3
        [heart, _] = client.get("/voices").json()["data"]
        assert client.get("/voices/Heart").json() == heart
        assert heart["language"] == "en"
        assert (heart["access"], heart["is_owner"]) == ("public", False)
        assert client.get("/voices/nobody").status_code == 404


def test_a_kept_voice_is_its_owner_s(http: httpx2.Client) -> None:
    upload(http, "anna")
    [anna] = http.get("/voices?is_owner=true").json()["data"]
    assert (anna["id"], anna["access"], anna["visibility"]) == ("anna", "private", "owner")
    created = datetime.fromisoformat(anna["created_at"].replace("Z", "+00:00"))
    assert abs(created.timestamp() - time.time()) < 60
