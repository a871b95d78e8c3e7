"""`/v1/realtime`, as its own client and as programs that only want to hear a text use it."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import openai
import pytest
from openai.types.realtime import ConversationItemAdded, RealtimeConversationItemUserMessage
from websockets.exceptions import InvalidStatus

from qwen3_tts_edge.server.protocols import realtime_items
from server.reference import spoken
from server.serving import Served
from server.sockets import conversation, encoded, sound

TEXT = "Good morning."


def create(text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    message = {"type": "message", "role": "user", "content": content}
    response = {"conversation": "none", "output_modalities": ["audio"], "input": [message], **more}
    return {"type": "response.create", "response": response}


def item(text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    message = {"type": "message", "role": "user", "content": content, **more}
    return {"type": "conversation.item.create", "item": message}


CREATE = {"type": "response.create"}


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


def test_the_official_client_adds_to_the_conversation_what_is_spoken(served: Served) -> None:
    async def converse() -> tuple[list[Any], bytes]:
        client = openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="any")
        events, data = [], b""
        query = {"seed": "7"}
        async with client.realtime.connect(model="gpt-realtime", extra_query=query) as connection:
            content: Any = [{"type": "input_text", "text": TEXT}]
            await connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": content}
            )
            await connection.response.create()
            async for event in connection:
                events.append(event)
                if event.type == "response.output_audio.delta":
                    data += base64.b64decode(event.delta)
                if event.type == "response.done":
                    break
        return events, data

    (_, added, done, created, *_), data = asyncio.run(converse())
    assert data == spoken(TEXT, 7)
    assert (added.type, done.type) == ("conversation.item.added", "conversation.item.done")
    assert isinstance(added, ConversationItemAdded)
    assert (added.previous_item_id, added.item) == (None, done.item)
    assert isinstance(added.item, RealtimeConversationItemUserMessage)
    assert added.item.content[0].text == TEXT
    assert (added.item.id or "").startswith("item_")
    assert created.type == "response.created"


def test_each_item_is_spoken_once_in_its_place_and_none_of_the_system(url: str) -> None:
    with conversation(url) as socket:
        socket.say(
            item("How are you?", id="b"),
            {**item("Good morning.", id="a"), "previous_item_id": "root"},
            item("No.", id="c"),
            item("Speak as a pirate.", id="d", role="system"),
            {"type": "conversation.item.delete", "item_id": "c"},
            CREATE,
        )
        *before, _ = socket.until("response.created")
        added = [each for each in before if each["type"] == "conversation.item.added"]
        placed = [(each["item"]["id"], each["previous_item_id"]) for each in added]
        assert placed == [("b", None), ("a", None), ("c", "b"), ("d", "c")]
        assert before[-1]["type"] == "conversation.item.deleted"
        both = sound(socket.until("response.done"), "delta")
        assert both == spoken("Good morning.\nHow are you?", 7)
        socket.say({**item(TEXT, role="assistant"), "previous_item_id": "b"}, create("Yes."))
        assert sound(socket.until("response.done"), "delta") == spoken("Yes.", 7)
        socket.say(CREATE)
        assert sound(socket.until("response.done"), "delta") == spoken(TEXT, 7)
        socket.say(CREATE)
        assert socket.until("error")[-1]["error"]["param"] == "response.input"


def test_who_interrupts_may_say_how_much_was_heard(url: str) -> None:
    with conversation(url) as socket:
        socket.say(create(TEXT))
        delta = socket.until("response.output_audio.delta")[-1]
        heard = {"item_id": delta["item_id"], "content_index": 0, "audio_end_ms": 80}
        truncate = {"type": "conversation.item.truncate", **heard}
        socket.say({"type": "response.cancel"}, truncate)
        *before, last = socket.until("conversation.item.truncated")
        assert before[-1]["response"]["status"] == "cancelled"
        assert {name: last[name] for name in heard} == heard
        socket.say({**truncate, "audio_end_ms": -1})
        assert socket.hear()["type"] == "error"


def test_there_is_a_bound_to_what_waits_to_be_spoken(
    url: str, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(served.service.settings, largest_text=len(TEXT))
    monkeypatch.setattr(served.service, "settings", settings)
    monkeypatch.setattr(realtime_items, "_MOST", 2)
    with conversation(url) as socket:
        socket.say(item(TEXT, id="a"), item("more"), CREATE)
        assert "may wait to be spoken" in socket.until("error")[-1]["error"]["message"]
        assert sound(socket.until("response.done"), "delta") == spoken(TEXT, 7)
        socket.say(item(TEXT, id="b"), item("", id="c"), item("", id="a"))
        assert "may wait to be spoken" in socket.until("error")[-1]["error"]["message"]
        socket.say(CREATE, item("", id="a"), item(TEXT, id="b"))  # of which a is forgotten
        *before, done = socket.until("conversation.item.done")
        assert (done["item"]["id"], done["previous_item_id"]) == ("a", "c")
        assert "there is an item 'a'" not in str(before)


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
            ({**item(TEXT), "previous_item_id": "nobody"}, "previous_item_id"),
            (item(TEXT, content=[{"type": "input_audio", "audio": ""}]), "item"),
            (item(TEXT, type="function_call"), "item"),
            (item(TEXT, id="x" * 129), "item"),
            ({"type": "conversation.item.delete", "item_id": "nobody"}, "item_id"),
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
