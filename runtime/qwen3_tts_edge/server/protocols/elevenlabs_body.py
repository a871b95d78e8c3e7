"""What ElevenLabs' requests say, in their bodies, addresses and messages."""

import re
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, Field

from qwen3_tts_edge.server.problems import FieldError
from qwen3_tts_edge.server.protocols.asked import Fields
from qwen3_tts_edge.server.protocols.said import Said, unheard, unmarked
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.sockets.conversation import Seed
from qwen3_tts_edge.sound.encoding import Encoder

CONTEXT = ("context_id", "contextId")
FIELDS = Fields(language="language_code", speed="voice_settings")
_FORMAT = re.compile(r"(mp3|pcm|ulaw|alaw|opus|wav)_(\d{4,6})(?:_(\d{1,3}))?")
_OURS = {"ulaw": "pcm_mulaw", "alaw": "pcm_alaw"}
_PLAIN = unmarked("break", "phoneme")
_Dictionaries = Annotated[
    Any, unheard("there are no dictionaries here; leave it out, and spell words as they sound")
]


class Settings(Said):
    """How a voice speaks."""

    speed: float | None = None

    def encoder(self, service: Service, output_format: str) -> Encoder:
        """Make an encoder of the sound that is asked for.

        Raises:
            InputError: It is not to be had.
        """
        if (found := _FORMAT.fullmatch(output_format)) is None:
            raise FieldError(
                "output_format", f"there is no {output_format[:40]!r}", "use pcm_24000 for one"
            )
        name, rate, kilobits = found.groups()
        return FIELDS.encoder(
            service,
            _OURS.get(name, name),
            rate=int(rate),
            bitrate=1000 * int(kilobits) if kilobits else None,
            speed=self.speed,
        )


class Text(Said):
    """A text that is spoken whole."""

    text: Annotated[str, Field(min_length=1), _PLAIN]
    language_code: str | None = None
    voice_settings: Settings | None = None
    seed: Annotated[int | None, Field(ge=-1, lt=2**64)] = None
    pronunciation_dictionary_locators: _Dictionaries = None
    audio_effects: Annotated[Any, unheard("there are no effects here; leave it out")] = None


class Asked(BaseModel):
    """What stands in the address of a socket."""

    output_format: str = "mp3_44100_128"
    language_code: str | None = None
    enable_ssml_parsing: bool = False
    seed: Seed = None

    def check(self, service: Service) -> None:
        """Refuse what is not to be had in any message."""
        Settings().encoder(service, self.output_format)
        if self.enable_ssml_parsing:
            raise FieldError(
                "enable_ssml_parsing", "no SSML is read here", "leave it out, and send plain text"
            )


class SocketMessage(Said):
    """What is said over a socket; of the contexts only that with many knows.

    They are named `context_id` by the vendor's pages, and `contextId` by its own classes.
    """

    context_id: Annotated[str, Field(validation_alias=AliasChoices(*CONTEXT))] = ""
    text: Annotated[str | None, _PLAIN] = None
    voice_settings: Settings | None = None
    flush: bool = False
    close_context: bool = False
    close_socket: bool = False
    pronunciation_dictionary_locators: _Dictionaries = None
