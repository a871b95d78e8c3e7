"""What is asked of Deepgram's speech: in an address who speaks and how, in a message the text.

Source: https://developers.deepgram.com/reference/text-to-speech/speak-streaming
"""

import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from qwen3_tts_edge.server.problems import FieldError
from qwen3_tts_edge.server.protocols.asked import Fields
from qwen3_tts_edge.server.protocols.said import unheard, without
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.sockets.conversation import Seed
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.request import Request

_FIELDS = Fields(voice="model", form="encoding", rate="sample_rate", bitrate="bit_rate")
_RAW = {"linear16": "pcm", "mulaw": "pcm_mulaw", "alaw": "pcm_alaw"}
_WAV = {"linear16": "wav", "mulaw": "wav_mulaw", "alaw": "wav_alaw"}
_CONTAINERS = {**dict.fromkeys(_RAW, ("wav", "none")), "opus": ("ogg",)}
"""Of encodings, the usual one first; the others have none."""

_Callback = Annotated[
    str | None, unheard("no address is called from here; leave it out, the sound is the answer")
]

Plain = Annotated[str, without(r'\\\{(?:"word"|pause:)[^{}]*\}')]
"""A text without what Deepgram reads as a pronunciation or a pause."""


class Asked(BaseModel):
    """What stands in the address."""

    model: str | None = None
    sample_rate: int | None = None
    speed: float = 1.0
    seed: Seed = None
    language: str | None = None

    def request(self, service: Service) -> Request:
        """Read what is asked for, without the text."""
        return _FIELDS.request(service, self.model, self.language, self.seed)

    def described(self, service: Service) -> dict[str, str]:
        """Describe who speaks, as Deepgram's clients are told."""
        name = self.model or service.name
        return {"model_name": name, "model_uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, name))}


class Socket(Asked):
    """The address of a socket, whose sound has no container."""

    encoding: Literal["linear16", "mulaw", "alaw"] = "linear16"
    container: Literal["none"] = "none"

    def encoder(self, service: Service) -> Encoder:
        """Make an encoder of the sound that is asked for."""
        name = _RAW[self.encoding]
        return _FIELDS.encoder(service, name, rate=self.sample_rate, speed=self.speed)


class Whole(Asked):
    """The address of a request, whose sound is a file unless told otherwise."""

    encoding: Literal["linear16", "mulaw", "alaw", "mp3", "opus", "flac", "aac"] = "mp3"
    container: Literal["none", "wav", "ogg"] | None = None
    bit_rate: int | None = None
    callback: _Callback = None
    callback_method: _Callback = None

    def encoder(self, service: Service) -> Encoder:
        """Make an encoder of the sound that is asked for."""
        containers = _CONTAINERS.get(self.encoding, ("none",))
        if self.container not in (None, *containers):
            raise FieldError(
                "container",
                f"no {self.encoding} in {self.container}",
                f"leave it out, or use {' or '.join(containers)}",
            )
        names = _RAW if self.container == "none" else _WAV
        name = names.get(self.encoding, self.encoding)
        return _FIELDS.encoder(
            service, name, rate=self.sample_rate, bitrate=self.bit_rate, speed=self.speed
        )


class Text(BaseModel):
    """The body of a request."""

    text: Annotated[Plain, Field(min_length=1)]


class Speak(BaseModel):
    """A message with text."""

    type: Literal["Speak"]
    text: Plain
