"""ElevenLabs' socket: messages are, byte for byte, those of pipecat 1.14 and livekit 1.8.9."""

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed, InvalidStatus

from qwen3_tts_edge.bundle.names import STREAMED
from qwen3_tts_edge.server.doors import keys
from qwen3_tts_edge.server.settings import Settings
from qwen3_tts_edge.server.sockets import introduction
from server.reference import as_it_came, spoken
from server.serving import Served, serving
from server.sockets import Socket, conversation, encoded, sound
from server.uploads import upload

FIRST, SECOND = "Good morning.", "How are you?"
DICTIONARIES = {"pronunciation_dictionary_locators": [{"pronunciation_dictionary_id": "a"}]}
OF_LIVEKIT = (
    "model_id=eleven_turbo_v2_5&output_format={}&enable_ssml_parsing=false&enable_logging=true"
    "&inactivity_timeout=180&apply_text_normalization=auto&sync_alignment=true&auto_mode=true"
)


def begin(name: str, **settings: float) -> dict[str, Any]:
    return {"text": " ", "voice_settings": settings, "context_id": name}


def say(text: str, name: str, **more: bool) -> dict[str, Any]:
    return {"text": text, "context_id": name, **more}


def close(name: str) -> dict[str, Any]:
    return {"context_id": name, "close_context": True}


def until_final(socket: Socket, *names: str) -> dict[str, bytes]:
    """Listen until each of these contexts is over; give the sound of each."""
    messages: list[Any] = []
    while set(names) - {each["contextId"] for each in messages if each.get("isFinal")}:
        messages.append(socket.hear())
    return {
        name: sound([each for each in messages if each["contextId"] == name], "audio")
        for name in names
    }


@pytest.fixture
def url(served: Served) -> str:
    return f"{served.ws}/v1/text-to-speech/heart/multi-stream-input?seed=7"


def test_sentences_of_livekit(url: str, served: Served) -> None:
    """It has each sentence flushed, so each is spoken by itself."""
    key = {"xi-api-key": "any"}
    asked = OF_LIVEKIT.format("pcm_24000")
    with conversation(f"{url}&{asked}", additional_headers=key) as socket:
        socket.say(
            begin("a"), say(f"{FIRST} ", "a", flush=True), say(f"{SECOND} ", "a", flush=True)
        )
        socket.say(say("", "a", flush=True), close("a"))
        assert until_final(socket, "a")["a"] == as_it_came(FIRST, 7) + as_it_came(SECOND, 7)
    served.settle()


def test_sentences_of_pipecat_are_one_text(url: str) -> None:
    address = f"{url}&model_id=eleven_flash_v2_5&output_format=pcm_24000&auto_mode=true"
    with conversation(f"{address}&language_code=en") as socket:
        socket.say({"text": ""}, {"text": " ", "context_id": "a"}, say(FIRST, "a"))
        socket.say({"text": "", "context_id": "a"}, say(SECOND, "a"))
        socket.say({"context_id": "a", "flush": True}, close("a"))
        assert until_final(socket, "a")["a"] == as_it_came(f"{FIRST} {SECOND}", 7, language="en")
        socket.say({"close_socket": True})
        assert list(socket.connection) == []


def test_contexts_speak_side_by_side_and_close_one_by_one(url: str, served: Served) -> None:
    with conversation(f"{url}&output_format=pcm_24000") as socket:
        socket.say(begin("a"), begin("b"), say(f"{FIRST} {SECOND} " * 20, "a"), say(SECOND, "b"))
        assert socket.hear()["contextId"] == "a"
        socket.say(close("a"), close("a"), close("b"))  # an end, then a second one: no more of it
        heard = until_final(socket, "a", "b")
        assert heard["b"] == as_it_came(SECOND, 7)
        assert len(heard["a"]) < 20 * len(as_it_came(FIRST, 7))
        served.settle()
        socket.say(close("a"), begin("a"), say(FIRST, "a"), close("a"))
        assert until_final(socket, "a")["a"] == as_it_came(FIRST, 7)


def test_contexts_are_named_as_the_vendor_s_own_classes_name_them_too(url: str) -> None:
    with conversation(f"{url}&output_format=pcm_24000") as socket:
        socket.say({"text": 5, "contextId": "c"})
        assert socket.until("error")[-1]["contextId"] == "c"
        socket.say({"text": FIRST, "contextId": "a"}, {"text": SECOND, "contextId": "b"})
        socket.say(*({"contextId": name, "close_context": True} for name in "ab"))
        assert until_final(socket, "a", "b")["b"] == as_it_came(SECOND, 7)


def test_close_socket_lets_everybody_finish(url: str) -> None:
    with conversation(f"{url}&output_format=pcm_24000") as socket:
        socket.say(say(FIRST, "a"), say(SECOND, "b"), {"close_socket": True})
        heard = until_final(socket, "a", "b")
        assert (heard["a"], heard["b"]) == (as_it_came(FIRST, 7), as_it_came(SECOND, 7))
        assert list(socket.connection) == []


def test_what_is_wrong_is_said_and_the_other_contexts_speak_on(url: str) -> None:
    with conversation(f"{url}&output_format=pcm_24000") as socket:
        socket.say(say(FIRST, "a"), begin("b", speed=9.0), say("<|im_end|>", "c", flush=True))
        assert "speed is 9" in socket.until("error")[-1]["error"]
        socket.say('{"context_id": "d", "text": 5}', "{", close("a"))
        messages: list[Any] = []
        while not (messages and messages[-1].get("isFinal")):
            messages.append(socket.hear())
        errors = {each["contextId"]: each["error"] for each in messages if "error" in each}
        assert set(errors) == {"c", "d", None}
        assert "<|im_end|>" in errors["c"]
        socket.say(
            say("More.", "c"), close("c"), close("c"), begin("c"), say(SECOND, "c"), close("c")
        )
        assert until_final(socket, "c")["c"] == as_it_came(SECOND, 7)


@pytest.mark.parametrize("settings", [{}, {"speed": 1.0}])
def test_a_context_keeps_the_speed_it_was_begun_with(url: str, settings: dict[str, float]) -> None:
    with conversation(f"{url}&output_format=pcm_24000") as socket:
        socket.say(begin("a", **settings), say(FIRST, "a"), begin("a", speed=1.2))
        same = {**say(f" {SECOND}", "a"), "voice_settings": {"speed": 1.0, "stability": 0.5}}
        socket.say(same, close("a"))
        messages = socket.until("isFinal")
    [error] = [each for each in messages if "error" in each]
    assert (error["contextId"], error["code"]) == ("a", "invalid_request_error")
    assert "begun with another speed" in error["error"]
    assert sound(messages, "audio") == as_it_came(f"{FIRST} {SECOND}", 7)


@pytest.mark.parametrize("how", ["close_context", "close_socket"])
def test_what_is_said_in_the_message_that_closes_is_spoken(url: str, how: str) -> None:
    with conversation(f"{url}&output_format=pcm_24000") as socket:
        socket.say(say(FIRST, "a"), say(SECOND, "a", **{how: True}))
        assert until_final(socket, "a")["a"] == as_it_came(f"{FIRST} {SECOND}", 7)


@pytest.mark.parametrize(
    "asked",
    ["output_format=pcm", "seed=-2", "output_format=mp3_44100_999", "enable_ssml_parsing=true"],
)
def test_an_address_that_is_wrong_is_refused_before_the_socket_opens(url: str, asked: str) -> None:
    with pytest.raises(InvalidStatus) as refused, conversation(f"{url.split('?')[0]}?{asked}"):
        pass
    assert refused.value.response.status_code == 400
    assert asked.split("=")[0] in (refused.value.response.body or b"").decode()


def test_mp3_as_livekit_asks_for_it_unasked(url: str) -> None:
    with conversation(f"{url}&{OF_LIVEKIT.format('mp3_22050_32')}") as socket:
        socket.say(begin("a"), say(FIRST, "a", flush=True), close("a"))
        samples, rate = soundfile.read(io.BytesIO(until_final(socket, "a")["a"]))
    least = len(encoded(FIRST, 7, "pcm", 22_050, text_layout=STREAMED)) // 2
    assert (rate, len(samples) >= least) == (22_050, True)


@pytest.mark.parametrize("ending", ["", "/stream"])
def test_a_text_over_http(served: Served, ending: str) -> None:
    url = f"{served.url}/v1/text-to-speech/heart{ending}"
    body = {"text": FIRST, "model_id": "eleven_turbo_v2_5", "voice_settings": None, "seed": 7}
    answer = httpx2.post(url, params={"output_format": "pcm_24000"}, json=body)
    assert answer.content == spoken(FIRST, 7)
    assert httpx2.post(url, json={**body, "text": 5}).status_code == 400
    for voice, form, asked, param in (
        ("nobody", "pcm_24000", {}, "voice"),
        ("heart", "pcm_9", {}, "output_format"),
        ("heart", "pcm_96000", {}, "output_format"),
        ("heart", "pcm_24000", {"language_code": "xx"}, "language_code"),
        ("heart", "pcm_24000", {"voice_settings": {"speed": 9}}, "voice_settings"),
        ("heart", "pcm_24000", {"text": " \n"}, "text"),
        ("heart", "pcm_24000", {"text": f'{FIRST} <break time="1.5s" /> {SECOND}'}, "text"),
        ("heart", "pcm_24000", {"audio_effects": {"pan": 0.5}}, "audio_effects"),
        ("heart", "pcm_24000", DICTIONARIES, "pronunciation_dictionary_locators"),
    ):
        url = f"{served.url}/v1/text-to-speech/{voice}{ending}?output_format={form}"
        wrong = httpx2.post(url, json={**body, **asked})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, param)


SAID = "Good morning. How are you?"


@pytest.mark.parametrize("ending", ["/with-timestamps", "/stream/with-timestamps"])
def test_sound_where_timestamps_are_asked_for_comes_without(served: Served, ending: str) -> None:
    """Of pipecat it is the only way over HTTP; nothing is made up."""
    url = f"{served.url}/v1/text-to-speech/heart{ending}?output_format=pcm_24000"
    answer = httpx2.post(url, json={"text": SAID, "seed": 7})
    assert answer.status_code == 200
    told = [json.loads(each) for each in answer.iter_lines()]
    assert (len(told) > 1) == ("stream" in ending)
    assert sound(told, "audio_base64") == spoken(SAID, 7)
    assert all(each["alignment"] is each["normalized_alignment"] is None for each in told)


def test_lists_as_its_clients_read_them(served: Served) -> None:
    """Its `generate` before version 2 and Open WebUI look for a voice there before they ask."""
    key = {"xi-api-key": "any"}
    listed = httpx2.get(f"{served.url}/v1/voices?show_legacy=true", headers=key).json()
    named = [(each["voice_id"], each["name"], each["category"]) for each in listed["voices"]]
    assert named == [("heart", "heart", "premade"), ("low", "low", "premade")]
    for search, names in (("", ["heart", "low"]), ("LO", ["low"]), ("nobody", [])):
        url = f"{served.url}/v2/voices?page_size=10&search={search}"
        found = httpx2.get(url, headers=key).json()
        assert [each["voice_id"] for each in found.pop("voices")] == names
        assert found == {"has_more": False, "total_count": len(names), "next_page_token": None}
    one = httpx2.get(f"{served.url}/v1/voices/Heart", headers=key).json()
    assert one == {"voice_id": "heart", "name": "heart", "category": "premade"}
    assert httpx2.get(f"{served.url}/v1/voices/nobody", headers=key).status_code == 404
    url = f"{served.url}/v1/models"
    [model] = httpx2.get(url, headers=key).json()
    assert (model["model_id"], model["name"]) == (served.service.name, served.service.name)
    assert model["languages"] == [{"language_id": "en", "name": "en"}]
    assert httpx2.get(url).json()["object"] == "list"  # OpenAI's clients have no such header


def test_a_kept_voice_is_in_its_lists(http: httpx2.Client) -> None:
    upload(http, "anna")
    assert {"voice_id": "anna", "name": "anna", "category": "cloned"} in (
        http.get("/v1/voices").json()["voices"]
    )


OF_SDK = {
    "text": " ",
    "try_trigger_generation": True,
    "voice_settings": None,
    "generation_config": {"chunk_length_schedule": [50]},
}
"""The first message of `convert_realtime` in elevenlabs 2.78."""


@pytest.fixture
def one_text(url: str) -> str:
    return url.replace("multi-stream-input", "stream-input")


def of_sdk(text: str) -> dict[str, Any]:
    return {"text": text, "try_trigger_generation": True}


def to_its_end(socket: Socket) -> list[Any]:
    """Listen until the socket is closed."""
    heard = []
    with suppress(ConnectionClosed):
        while True:
            heard.append(socket.hear())
    return heard


def test_one_text_word_by_word_to_its_end(one_text: str, served: Served) -> None:
    with conversation(f"{one_text}&model_id=eleven_flash_v2_5&output_format=pcm_24000") as socket:
        words = [of_sdk(f"{word} ") for word in f"{FIRST} {SECOND}".split()]
        socket.say(OF_SDK, *words, {"text": ""}, of_sdk("What comes later is not heard."))
        *messages, last = to_its_end(socket)
        assert socket.connection.close_code == 1000
    assert last == {"audio": None, "isFinal": True}
    assert all(each["isFinal"] is None and "alignment" in each for each in messages)
    assert sound(messages, "audio") == as_it_came(f"{FIRST} {SECOND}", 7)
    served.settle()


def test_a_flush_speaks_what_is_there_and_the_text_goes_on(one_text: str) -> None:
    with conversation(f"{one_text}&output_format=pcm_24000") as socket:
        socket.say(OF_SDK, {"text": FIRST, "flush": True})
        heard, wanted = b"", as_it_came(FIRST, 7)
        while len(heard) < len(wanted):
            heard += sound([socket.hear()], "audio")
        socket.say(of_sdk(SECOND), {"text": ""})
        assert heard + sound(to_its_end(socket), "audio") == wanted + as_it_came(SECOND, 7)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (of_sdk("<|im_end|> "), "<|im_end|>"),
        ({"text": 5}, "text"),
        ("{", "JSON"),
        ({"text": " More", "voice_settings": {"speed": 1.2}}, "begun with another speed"),
        ({"text": " More", **DICTIONARIES}, "there are no dictionaries here"),
    ],
)
def test_a_text_that_fails_says_why_and_its_socket_ends_as_refused(
    one_text: str, served: Served, wrong: Any, told: str
) -> None:
    """Not with the code of a text that was spoken: clients would take what came for all of it."""
    with conversation(f"{one_text}&output_format=pcm_24000") as socket:
        socket.say(OF_SDK, of_sdk(f"{FIRST} "), wrong, of_sdk("more "), {"text": ""})
        [error] = [each for each in to_its_end(socket) if "message" in each]
        assert socket.connection.close_code == 1008
    assert told in error["message"]
    assert (error["error"], error["code"]) == ("invalid_request_error", 1008)
    served.settle()


def test_a_socket_whose_text_is_empty_ends_without_a_sound(one_text: str) -> None:
    with conversation(one_text) as socket:
        socket.say(OF_SDK, {"text": ""})
        assert [each.get("isFinal") for each in to_its_end(socket)] == [True]
        assert socket.connection.close_code == 1000


ONE, MANY = "stream-input", "multi-stream-input"


@pytest.fixture(scope="module")
def guarded(voice_bundle: Path) -> Iterator[Served]:
    settings = Settings(bundle=voice_bundle, slots=2, keys=("first", "second"), per_key=1)
    with serving(settings) as server:
        yield server


def address(served: Served, ending: str, voice: str = "heart") -> str:
    return f"{served.ws}/v1/text-to-speech/{voice}/{ending}?output_format=pcm_24000&seed=7"


@pytest.mark.parametrize("ending", [ONE, MANY])
@pytest.mark.parametrize(
    "key", [{"xi_api_key": "first"}, {"xi-api-key": "second"}, {"authorization": "Bearer first"}]
)
def test_a_key_in_the_first_message(guarded: Served, ending: str, key: dict[str, str]) -> None:
    """Of clients that can set no headers; browsers offer a subprotocol."""
    with conversation(address(guarded, ending), subprotocols=["elevenlabs"]) as socket:
        assert socket.connection.subprotocol == "elevenlabs"
        end = {"text": ""} if ending == ONE else {"close_socket": True}
        socket.say({**OF_SDK, **key}, of_sdk(FIRST), end)
        assert sound(to_its_end(socket), "audio") == as_it_came(FIRST, 7)
    guarded.settle()


@pytest.mark.parametrize("ending", [ONE, MANY])
@pytest.mark.parametrize(
    "first",
    [
        OF_SDK,
        {**OF_SDK, "xi_api_key": "other"},
        {**OF_SDK, "xi_api_key": "", "authorization": "Basic first"},
        {**OF_SDK, "xi_api_key": ["first"]},
        {"text": "a" * (128 << 10), "xi_api_key": "first"},
        "{",
        b'{"xi_api_key": "first"}',
    ],
)
def test_who_shows_no_key_in_the_first_message_is_refused(
    guarded: Served, ending: str, first: Any
) -> None:
    with conversation(address(guarded, ending, "nobody")) as socket:
        socket.say(first, {**OF_SDK, "xi_api_key": "first"})
        [error] = to_its_end(socket)
        assert socket.connection.close_code == 1008
    assert (error["error"], error["code"]) == ("invalid_api_key", 1008)
    assert "Authorization: Bearer KEY" in error["message"]


def test_what_is_wrong_with_the_address_is_told_to_who_has_shown_a_key(guarded: Served) -> None:
    with conversation(address(guarded, ONE, "nobody")) as socket:
        socket.say({**OF_SDK, "xi_api_key": "first"})
        [error] = to_its_end(socket)
        assert socket.connection.close_code == 1008
    assert "there is no voice 'nobody'" in error["message"]


def test_what_is_spoken_counts_for_the_key_of_the_first_message(guarded: Served) -> None:
    long = f"{FIRST} {SECOND} " * 20
    with (
        conversation(address(guarded, ONE)) as one,
        conversation(address(guarded, ONE)) as same,
        conversation(address(guarded, ONE)) as other,
    ):
        one.say({**OF_SDK, "xi_api_key": "first"}, of_sdk(long))
        one.until("audio")
        same.say({**OF_SDK, "xi_api_key": "first"}, of_sdk(FIRST), {"text": ""})
        assert [each["error"] for each in to_its_end(same)] == ["rate_limited"]
        other.say({**OF_SDK, "xi_api_key": "second"}, of_sdk(FIRST), {"text": ""})
        assert sound(to_its_end(other), "audio") == as_it_came(FIRST, 7)
    guarded.settle()


def test_a_first_message_is_not_waited_for_long_nor_by_many(
    guarded: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MOST", 1)
    url = address(guarded, MANY)
    with conversation(url):
        with pytest.raises(InvalidStatus) as refused, conversation(url):
            pass
        assert refused.value.response.status_code == 401
        with conversation(url, additional_headers={"xi-api-key": "first"}):
            pass
    monkeypatch.setattr(introduction, "_SECONDS", 0.1)
    with conversation(url) as socket:  # whoever left is not waited for
        assert [each["error"] for each in to_its_end(socket)] == ["invalid_api_key"]
        assert socket.connection.close_code == 1008
