"""Deepgram's socket of turns: messages are those of pipecat, livekit and its own SDK, 7.17."""

import json
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from qwen3_tts_edge.bundle.names import STREAMED
from qwen3_tts_edge.server.sockets import context
from server.reference import as_it_came, spoken
from server.serving import Served
from server.sockets import Socket, conversation, encoded
from server.test_deepgram import CLOSE, FIRST, FLUSH, SECOND, speak

INTERRUPT = json.dumps({"type": "Interrupt"})
PAUSE, SOUNDS_LIKE = r"\{pause:500ms\}", r'\{"word": "tea", "pronounce": "tiː"\}'


def interrupt(offset: int) -> str:
    played = {"type": "time_ms", "value": offset}
    return json.dumps({"type": "Interrupt", "playback_offset": played})


def configure(speed: float) -> str:
    return json.dumps({"type": "Configure", "speed": speed})


def turn(socket: Socket) -> tuple[bytes, dict[str, Any]]:
    """Listen to a turn, which begins, sounds and ends, and nothing else; give sound and end."""
    started, *sound, flushed, metadata = socket.until("SpeechMetadata")
    assert [started["type"], flushed["type"]] == ["SpeechStarted", "Flushed"]
    assert len({each["speech_id"] for each in (started, flushed, metadata)}) == 1
    return b"".join(sound), metadata


@pytest.fixture
def url(served: Served) -> str:
    return f"{served.ws}/v2/speak?model=heart&encoding=linear16&sample_rate=24000&seed=7"


def test_words_are_one_turn_which_says_its_end(url: str, served: Served) -> None:
    text = f"{FIRST} {SECOND}"
    with conversation(f"{url}&mip_opt_out=false&tag=a&tag=b") as socket:
        told = socket.hear()
        assert (told["type"], told["model_name"]) == ("Connected", "heart")
        assert len(told["model_uuids"]) == 1
        socket.say(*(speak(f"{word} ") for word in text.split()), FLUSH)
        sound, metadata = turn(socket)
    assert sound == as_it_came(text, 7)
    assert metadata["speech_id"].startswith("dg_sp_")
    assert metadata["audio_duration_ms"] == len(sound) // 48
    assert metadata["input_character_count"] == len(f"{text} ")
    served.settle()


def test_turns_queue_and_a_close_comes_behind_the_last(url: str) -> None:
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(FIRST), FLUSH, speak(SECOND), CLOSE, speak(FIRST))
        (first, one), (second, two) = turn(socket), turn(socket)
        assert (first, second) == (as_it_came(FIRST, 7), as_it_came(SECOND, 7))
        assert one["speech_id"] != two["speech_id"]
        totals = socket.hear()
        assert totals["type"] == "SessionMetadata"
        assert totals["total_audio_duration_ms"] == (len(first) + len(second)) // 48
        assert totals["total_input_character_count"] == len(FIRST + SECOND)
        assert list(socket.connection) == []
        assert socket.connection.close_code == 1000


def test_a_turn_goes_on_after_its_first_part_was_spoken_unasked(
    url: str, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "PATIENCE", 0.05)
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(FIRST))
        assert socket.hear()["type"] == "SpeechStarted"
        heard, wanted = b"", as_it_came(FIRST, 7)
        while len(heard) < len(wanted):
            heard += socket.hear()
        served.settle()
        monkeypatch.undo()
        socket.say(speak(SECOND), FLUSH)
        *sound, _, metadata = socket.until("SpeechMetadata")
    assert b"".join(sound) == as_it_came(SECOND, 7)
    assert metadata["audio_duration_ms"] == (len(heard) + len(b"".join(sound))) // 48


def test_what_has_no_turn_or_no_word_is_warned_of(url: str) -> None:
    with conversation(url) as socket:
        socket.hear()
        for order in (FLUSH, INTERRUPT):
            socket.say(order)
            warning = socket.hear()
            assert (warning["type"], warning["code"]) == ("Warning", "NO_ACTIVE_SPEECH")
        socket.say(speak("… "), speak("🎉"), FLUSH)
        told = socket.until("SpeechMetadata")
    kinds = ["SpeechStarted", "Warning", "Flushed", "SpeechMetadata"]
    assert [each["type"] for each in told] == kinds
    assert told[1]["code"] == "NO_SYNTHESIZABLE_TEXT"
    assert told[-1]["audio_duration_ms"] == 0


def test_after_an_interrupt_nothing_of_before_is_heard(url: str, served: Served) -> None:
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(f"{FIRST} {SECOND} " * 20), FLUSH, speak(FIRST))
        assert socket.hear()["type"] == "SpeechStarted"
        assert isinstance(socket.hear(), bytes)
        socket.say(interrupt(60))
        *before, told = socket.until("SpeechInterrupted")
        assert all(isinstance(each, bytes) for each in before)
        assert told["audio_played_ms"] == 60
        assert told["metadata"]["audio_duration_ms"] >= 80
        served.settle()
        socket.say(speak(FIRST), INTERRUPT)  # perhaps before there is any sound
        told = socket.until("SpeechInterrupted")[-1]
        assert told["audio_played_ms"] == 60 + told["metadata"]["audio_duration_ms"]
        socket.say(speak(FIRST), interrupt(told["audio_played_ms"]), FLUSH)
        assert socket.hear()["code"] == "INVALID_INTERRUPT_OFFSET"
        assert turn(socket)[0] == as_it_came(FIRST, 7)
        socket.say(speak(SECOND), FLUSH)
        assert turn(socket)[0] == as_it_came(SECOND, 7)


def test_another_speed_is_that_of_the_next_turn(url: str) -> None:
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(FIRST), configure(2.0), FLUSH)
        assert socket.until("ConfigureSuccess")[-1]["applied"] == {"speed": 2.0}
        socket.until("SpeechMetadata")
        socket.say(configure(9.0))
        failed = socket.hear()
        assert (failed["type"], failed["code"]) == ("ConfigureFailure", "SPEED_OUT_OF_RANGE")
        assert (failed["field"], failed["value"]) == ("speed", 9.0)
        socket.say(speak(FIRST), FLUSH)
        assert turn(socket)[0] == encoded(FIRST, 7, "pcm", 24_000, 2.0, text_layout=STREAMED)


@pytest.mark.parametrize("text", [PAUSE, SOUNDS_LIKE, "<|im_end|>"])
def test_what_cannot_be_said_is_an_error_and_its_turn_has_an_end(url: str, text: str) -> None:
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(f"Drink {text} now."), FLUSH)
        error, *told = socket.until("SpeechMetadata")
        assert (error["type"], error["code"]) == ("Error", "INVALID_REQUEST_ERROR")
        assert [each["type"] for each in told] == ["SpeechStarted", "Flushed", "SpeechMetadata"]
        socket.say(speak(FIRST), "{", FLUSH)
        assert socket.hear()["type"] == "Error"
        assert turn(socket)[0] == as_it_came(FIRST, 7)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("model=nobody", "there is no voice 'nobody'"),
        ("encoding=mp3", "encoding: Input should be 'linear16', 'mulaw' or 'alaw'"),
        ("expressivity=2", "expressivity: no voice here has it; leave it out, or use 0"),
        ("speed=9", "the speed is 9"),
    ],
)
def test_an_address_that_is_wrong_is_refused_before_the_socket_opens(
    served: Served, asked: str, found: str
) -> None:
    with pytest.raises(InvalidStatus) as refused, conversation(f"{served.ws}/v2/speak?{asked}"):
        pass
    assert refused.value.response.status_code == 400
    assert found in (refused.value.response.body or b"").decode()


def test_telephones_are_told_true_times(served: Served) -> None:
    url = f"{served.ws}/v2/speak?model=heart&encoding=mulaw&seed=7&expressivity=0"
    with conversation(url) as socket:
        socket.hear()
        socket.say(speak(FIRST), FLUSH)
        sound, metadata = turn(socket)
    assert sound == encoded(FIRST, 7, "pcm_mulaw", 8000, text_layout=STREAMED)
    assert metadata["audio_duration_ms"] == len(sound) // 8


def test_a_text_over_http(served: Served) -> None:
    url = f"{served.url}/v2/speak?model=heart&encoding=linear16&container=none&seed=7"
    answer = httpx2.post(f"{url}&sample_rate=24000&expressivity=0", json={"text": FIRST})
    assert answer.content == spoken(FIRST, 7)
    assert answer.headers["dg-model-name"] == "heart"
    for asked, text, param in (
        ("expressivity=1", FIRST, "expressivity"),
        ("callback=https%3A%2F%2Fexample.org", FIRST, "callback"),
        ("model=nobody", FIRST, "model"),
        ("model=heart", f"Wait {PAUSE} here.", "text"),
    ):
        wrong = httpx2.post(f"{served.url}/v2/speak?{asked}", json={"text": text})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, param)
