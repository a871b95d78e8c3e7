"""`/v1/realtime`, as its own client and as programs that only want to hear a text use it."""

import asyncio
import base64
from typing import Any

import openai
import pytest
from websockets.exceptions import InvalidStatus

from server.reference import spoken
from server.serving import Served
from server.sockets import conversation, encoded, sound

TEXT = "Good morning."


def create(text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    message = {"type": "message", "role": "user", "content": content}
    response = {"conversation": "none", "output_modalities": ["audio"], "input": [message], **more}
    return {"type": "response.create", "response": response}


def sounds(**output: Any) -> dict[str, Any]:
    return {"audio": {"output": output}}


@pytest.fixture
def url(served: Served) -> str:
    return f"{served.ws}/v1/realtime?model=gpt-realtime&seed=7"


def test_the_official_client(served: Served) -> None:
    async def converse() -> tuple[list[str], bytes]:
        client = openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="any")
        kinds, data = [], b""
        query = {"seed": "7"}
        async with client.realtime.connect(model="gpt-realtime", extra_query=query) as connection:
            await connection.session.update(
                session={
                    "type": "realtime",
                    "output_modalities": ["audio"],
                    "instructions": "Speak exactly as written.",
                    "audio": {
                        "output": {"voice": "heart", "format": {"type": "audio/pcm", "rate": 24000}}
                    },
                }
            )
            await connection.response.create(response=create(TEXT)["response"])
            async for event in connection:
                if not kinds or kinds[-1] != event.type:
                    kinds.append(event.type)
                if event.type == "response.output_audio.delta":
                    data += base64.b64decode(event.delta)
                if event.type == "response.done":
                    assert event.response.status == "completed"
                    return kinds, data
        raise AssertionError("no response.done")

    kinds, data = asyncio.run(converse())
    assert data == spoken(TEXT, 7)
    assert kinds == [
        "session.created",
        "session.updated",
        "response.created",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.done",
    ]


def test_a_response_that_is_cancelled(url: str, served: Served) -> None:
    with conversation(url) as socket:
        socket.say(create(f"{TEXT} " * 30))
        name = socket.until("response.output_audio.delta")[-1]["response_id"]
        socket.say({"type": "response.cancel"}, create(TEXT))
        done = socket.until("response.done")[-1]["response"]
        assert (done["id"], done["status"]) == (name, "cancelled")
        messages = socket.until("response.done")
        assert not any(each.get("response_id") == name for each in messages)
        assert sound(messages, "delta") == spoken(TEXT, 7)
        served.settle()
        socket.say({"type": "response.cancel", "response_id": name, "event_id": "mine"})
        error = socket.hear()["error"]
        assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "mine")


def test_a_voice_and_a_format_of_one_response(url: str) -> None:
    output = {"voice": {"id": "low"}, "format": {"type": "audio/pcmu"}}
    with conversation(url) as socket:
        socket.say(create(TEXT, audio={"output": {"format": output["format"]}}))
        data = sound(socket.until("response.done"), "delta")
        assert data == encoded(TEXT, 7, "pcm_mulaw", 8000)
        socket.say(create(TEXT, audio={"output": {"voice": output["voice"]}}))
        assert sound(socket.until("response.done"), "delta") == spoken(TEXT, 7, voice="low")


def test_what_is_wrong_is_said(url: str) -> None:
    nobody = {"audio": {"output": {"voice": "nobody"}}}
    with conversation(url) as socket:
        socket.hear()
        for wrong, param in (
            ({"type": "session.update", "session": sounds(speed=0)}, "session.audio.output.speed"),
            (
                {"type": "session.update", "session": sounds(format={"rate": 0})},
                "session.audio.output.format",
            ),
            ({"type": "session.update", "session": nobody}, "session.audio.output.voice"),
            ({"type": "session.update", "session": {"voice": "low"}}, "session"),
            ({"type": "session.update", "session": {"output_audio_format": "pcm16"}}, "session"),
            (create(TEXT, output_modalities=["text"]), "response"),
            ({"type": "response.create"}, "response.input"),
            ({"type": "response.create", "response": {"input": [5]}}, "response"),
            ({"type": "input_audio_buffer.append", "audio": ""}, None),
            ("{", None),
        ):
            socket.say(wrong)
            error = socket.hear()
            assert (error["type"], error["error"]["param"]) == ("error", param)
        socket.say(create("<|im_end|>"))
        kinds = [each["type"] for each in socket.until("response.done")]
        assert kinds == ["response.created", "error", "response.done"]


def test_another_model(served: Served) -> None:
    url = f"{served.ws}/v1/realtime?model=whisper-1"
    with pytest.raises(InvalidStatus) as refused, conversation(url):
        pass
    assert refused.value.response.status_code == 404
