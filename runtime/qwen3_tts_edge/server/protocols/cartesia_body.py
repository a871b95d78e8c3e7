"""What is asked of Cartesia's speech, in each of its versions.

Speed is what `generation_config` says, or in older versions `speed` or `__experimental_controls`
of the voice.

Source: https://docs.cartesia.ai/api-reference/tts/websocket;
    https://docs.cartesia.ai/build-with-cartesia/capability-guides/ssml-tags;
    types/generation_request.py of https://github.com/cartesia-ai/cartesia-python
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from qwen3_tts_edge.server.problems import FieldError
from qwen3_tts_edge.server.protocols.asked import Fields
from qwen3_tts_edge.server.protocols.said import Said, unheard, unmarked
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.request import Request

_SCALE = {"slowest": -1.0, "slow": -0.5, "normal": 0.0, "fast": 0.5, "fastest": 1.0}
_SLOWEST, _FASTEST = 0.6, 1.5
"""Of `generation_config.speed`, which came after that scale and has these ends."""

_Scaled = (
    Literal["slowest", "slow", "normal", "fast", "fastest"] | Annotated[float, Field(ge=-1, le=1)]
)


_Emotion = Annotated[Any, unheard("no emotion can be asked for here; leave it out", "neutral")]


class _Controls(Said):
    speed: _Scaled | None = None
    emotion: _Emotion = None


class _Voice(Said):
    id: str | None = None
    mode: Literal["id", "embedding"] = "id"
    embedding: Any = None
    controls: Annotated[_Controls, Field(alias="__experimental_controls")] = _Controls()

    @model_validator(mode="before")
    @classmethod
    def _named(cls, said: Any) -> Any:
        return {"id": said} if isinstance(said, str) else said

    @property
    def name(self) -> str:
        """The voice by its name.

        Raises:
            FieldError: It is none, or a vector stands beside it or in its place.
        """
        if self.mode == "embedding" or self.embedding is not None:
            raise FieldError("voice", "voices here have names, no embeddings", "send an id alone")
        if self.id is None:
            raise FieldError("voice", "it has no id", "send the name of a voice as its id")
        return self.id


class _Format(Said):
    container: Literal["raw", "wav", "mp3"] = "raw"
    encoding: Literal["pcm_s16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"] = "pcm_s16le"
    sample_rate: int | None = None
    bit_rate: int | None = None


class _Generation(Said):
    speed: float | None = None
    volume: Annotated[Any, unheard("it cannot be set here; leave it out", 1)] = None
    emotion: _Emotion = None


class Generation(Said):
    """What a request says, and each part of a context."""

    context_id: str | None = None
    transcript: Annotated[str, unmarked("break", "emotion", "speed", "spell", "volume")] = ""
    voice: _Voice | None = None
    language: str | None = None
    locale: str | None = None
    output_format: _Format = _Format()
    generation_config: _Generation | None = None
    speed: _Scaled | None = None
    duration: Annotated[Any, unheard("it cannot be set here; leave it out")] = None
    pronunciation_dict_id: Annotated[
        Any, unheard("there are no dictionaries here; leave it out, and spell words as they sound")
    ] = None

    def request(self, service: Service, seed: int | None) -> Request:
        """Read what is asked for, without the text."""
        if self.locale and self.language:
            raise FieldError("locale", "there is language too", "send one of them")
        fields = Fields(language="locale" if self.locale else "language")
        return fields.request(service, self.named, self.locale or self.language, seed)

    @property
    def named(self) -> str | None:
        """The voice by its name; None leaves the choice to the bundle."""
        return self.voice.name if self.voice else None

    def encoder(self, service: Service) -> Encoder:
        """Make the encoder of the sound that is asked for."""
        form = self.output_format
        names = {"raw": form.encoding, "wav": form.encoding.replace("pcm", "wav"), "mp3": "mp3"}
        field, speed = self._faster
        return Fields(speed=field).encoder(
            service,
            names[form.container],
            rate=form.sample_rate,
            bitrate=form.bit_rate if form.container == "mp3" else None,
            speed=speed,
        )

    @property
    def _faster(self) -> tuple[str, float | None]:
        """How fast it is, and which field says so: the newest one of those that are there."""
        if self.generation_config is not None and self.generation_config.speed is not None:
            return "generation_config", self.generation_config.speed
        if self.speed is not None:
            return "speed", _speed(self.speed)
        controls = self.voice.controls.speed if self.voice else None
        return "voice", None if controls is None else _speed(controls)


class Part(Generation):
    """A message of a socket: a part of a context's text."""

    goes_on: Annotated[bool, Field(alias="continue")] = False
    flush: bool = False
    cancel: bool = False

    def check(self, first: "Part") -> None:
        """Refuse what a context cannot change once it has begun.

        Raises:
            FieldError: It is said here, and otherwise than by its first part.
        """
        for field, said, was in (
            ("voice", self.named, first.named),
            ("language", self.language, first.language),
            ("locale", self.locale, first.locale),
            ("output_format", self._formed, first.output_format),
        ):
            if said is not None and said != was:
                raise FieldError(
                    field, "the context was begun with another", "begin another context"
                )

    @property
    def _formed(self) -> _Format | None:
        return self.output_format if "output_format" in self.model_fields_set else None


def _speed(scaled: str | float) -> float:
    """Read the older scale, on which 0 is as it is and the ends are 1 and -1."""
    at = _SCALE[scaled] if isinstance(scaled, str) else scaled
    return 1 + at * (_FASTEST - 1 if at > 0 else 1 - _SLOWEST)
