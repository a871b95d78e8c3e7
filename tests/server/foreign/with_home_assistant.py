"""Speak through Home Assistant as it is: `with_home_assistant.py tcp://HOST:PORT FOLDER`.

It begins in the empty folder, the Wyoming integration is added as a person adds it, and speech is
asked for as its assistants ask. Runs in an environment of its own, see `test_foreign_clients`. The
answer is one JSON object: case → PCM in base64, or what it found.
"""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from homeassistant.bootstrap import async_setup_hass
from homeassistant.components import tts
from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.runner import RuntimeConfig

TEXT = "Good morning. How are you?"
HEADER = 44
"""Bytes before the samples of a WAV file."""


async def words() -> AsyncIterator[str]:
    for word in TEXT.split():
        yield f"{word} "


async def heard(hass: HomeAssistant, engine: str, voice: str, *, streamed: bool) -> str:
    options = {tts.ATTR_VOICE: voice, tts.ATTR_PREFERRED_FORMAT: "wav"}
    stream = tts.async_create_stream(hass, engine, language="en", options=options)
    if streamed:
        stream.async_set_message_stream(words())
    else:
        stream.async_set_message(TEXT)
    sound = b"".join([chunk async for chunk in stream.async_stream_result()])
    return base64.b64encode(sound[HEADER:]).decode()


async def main(uri: str, folder: str) -> dict[str, str]:
    Path(folder, "configuration.yaml").write_text("tts:\nassist_pipeline:\n")
    hass = await async_setup_hass(RuntimeConfig(config_dir=folder, skip_pip=True))
    assert hass is not None
    asked = {"host": urlsplit(uri).hostname, "port": urlsplit(uri).port}
    made = await hass.config_entries.flow.async_init(
        "wyoming", context={"source": SOURCE_USER}, data=asked
    )
    await hass.async_block_till_done()
    [engine] = hass.states.async_entity_ids(tts.DOMAIN)
    entity = tts.get_engine_instance(hass, engine)
    answers = {
        "added": made["title"],
        "engine": engine,
        "voices": " ".join(voice.voice_id for voice in entity.async_get_supported_voices("en")),
        "whole": await heard(hass, engine, "heart", streamed=False),
        "whole, another": await heard(hass, engine, "low", streamed=False),
        "streamed": await heard(hass, engine, "heart", streamed=True),
    }
    await hass.async_stop(force=True)
    return answers


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))  # noqa: T201
